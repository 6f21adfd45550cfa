# One file, several stacks: `--var env=prod` sets the name of the stack and of its queue. Each stack has its own record.
# Every pipeline run must be able to reach the record: use a blob container, not a folder. See docs/guides/gitops.md.

variable "env" {
  type    = string
  default = "dev"
}

dstream {
  infrastructure {
    stack            = var.env
    backend_url      = env("DSTREAM_BACKEND_URL")      # azblob://dstream-infra?storage_account=retail
    secrets_provider = env("DSTREAM_SECRETS_PROVIDER") # azurekeyvault://retail.vault.azure.net/keys/dstream
  }
}

task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING", "unused by plan and init")
      tables               = ["dbo.Orders"]
    }
  }

  output {
    provider = "servicebus"
    config {
      resource_group = env("ASB_RESOURCE_GROUP") # rg-retail
      namespace      = env("ASB_NAMESPACE")      # sb-retail; without a connection string, `run` signs in to it with Entra ID
      queue          = "orders-${var.env}"
    }
  }
}
