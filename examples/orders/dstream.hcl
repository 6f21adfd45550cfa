# Three tables of an order system, in commit order, into one queue.
#
#   dstream sandbox up --detach && eval "$(dstream sandbox env)"
#   dstream sandbox queue orders --duplicate-detection
#   dstream sandbox load --rows 10000
#   dstream run orders --once

locals {
  tables = ["dbo.Customers", "dbo.Orders", "dbo.OrderLines"]
}

task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables               = local.tables
    }
  }

  output {
    provider = "servicebus"
    config {
      connection_string       = env("ASB_CONNECTION_STRING")
      admin_connection_string = env("ASB_ADMIN_CONNECTION_STRING") # omit on Azure
      queue                   = "orders"
    }
  }
}
