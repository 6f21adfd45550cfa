# One file, several stacks: `--var env=prod` sets the name of the stack and of its queue. Each stack has its own record.
# Every pipeline run must be able to reach the record: set PULUMI_BACKEND_URL to a blob container, not to a folder, and
# DSTREAM_SECRETS_PROVIDER to a key. See docs/guides/gitops.md.
#
# The file reads neither the environment nor files, so that `--untrusted` accepts it in pull requests. DSTREAM_VAR_env and
# so on set the variables.

variable "env" {
  type    = string
  default = "dev"
}

variable "resource_group" {
  type = string # rg-retail
}

variable "namespace" {
  type = string # sb-retail
}

variable "mssql_connection_string" {
  type      = string
  sensitive = true
  default   = "unused by plan and init"
}

dstream {
  infrastructure {
    stack = var.env
  }
}

task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = var.mssql_connection_string
      tables               = ["dbo.Orders"]
    }
  }

  output {
    provider = "servicebus"
    config {
      resource_group = var.resource_group
      namespace      = var.namespace # without a connection string, `run` signs in to it with Entra ID
      queue          = "orders-${var.env}"
    }
  }
}
