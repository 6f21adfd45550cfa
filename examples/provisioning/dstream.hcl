# Topics with subscriptions and rules, in two environments. To run it on the sandbox, which stands in for Azure:
#
#   dstream sandbox up --detach && eval "$(dstream sandbox env)"
#   dstream plan    orders
#   dstream init    orders
#   dstream run     orders --once
#   dstream status  orders
#   dstream plan    orders --var env=prod      a separate stack, whose resources are protected
#   dstream destroy orders --allow-data-loss
#
# On Azure, sign in (`az login`, or the ARM_* variables) and set `resource_group` and `namespace` below.

variable "env" {
  type    = string
  default = "dev"
}

variable "resource_group" {
  type    = string
  default = "sandbox"
}

variable "namespace" {
  type    = string
  default = "sandbox"
}

dstream {
  infrastructure {
    stack = var.env
  }
}

locals {
  tables = ["dbo.Orders", "dbo.Customers"]
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
      connection     = "stack" # run publishes to what init created
      resource_group = var.resource_group
      namespace      = var.namespace

      topic      = "${var.env}-{table}"
      tables     = local.tables
      properties = { OperationType = "{OperationType}" } # used by the filters below

      protect = var.env == "prod"

      entity {
        duplicate_detection_window = var.env == "prod" ? "1h" : "10m"
      }

      subscriptions = [
        { name = "audit", max_delivery_count = 5 },
        { name = "inserts", topics = ["${var.env}-orders"], filter = "OperationType = 'Insert'" },
        {
          name   = "changes"
          topics = ["${var.env}-orders"]
          rules = [
            { name = "updates", filter = "OperationType = 'Update'" },
            { name = "deletes", correlation = { properties = { OperationType = "Delete" } } },
          ]
        },
      ]

      authorization_rules = [{ name = "${var.env}-publisher", rights = ["Send"] }] # the key that run uses

      expected_rate = 100
    }
  }
}
