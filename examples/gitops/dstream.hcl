# One file, several stacks: `--var env=prod` names the stack, its queues, and where its infrastructure is recorded.
# The record must be where every pipeline run can reach it: a container of blobs, not a folder. docs/guides/gitops.md has the rest.

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
      connection_string = env("ASB_CONNECTION_STRING")
      queue             = "orders-${var.env}"
    }
  }
}
