# Infrastructure from plan to destroy, without a cloud: the "queues" live in test-infrastructure.json beside this file.
#
#   dstream plan    test-infrastructure
#   dstream init    test-infrastructure
#   dstream run     test-infrastructure      the rows: test-infrastructure.rows.jsonl
#   dstream status  test-infrastructure      edit "real" in the JSON file, and see the drift
#   dstream plan    test-infrastructure --out plan.json --markdown plan.md
#   dstream init    test-infrastructure --plan plan.json      edit "real" in between, and it is refused
#   dstream destroy test-infrastructure

task "test-infrastructure" {
  input {
    provider = "counter"
    config {
      interval = "100ms"
      count    = 10
    }
  }

  output {
    provider = "test_infrastructure"
    config {
      resources = {
        orders  = { max_delivery_count = 10, lock_duration = "30s" }
        returns = { max_delivery_count = 3 }
      }

      # Any step can fail or take its time: a command, or a command and a resource.
      # fail = { "init:returns" = "transient" }
      # slow = { "init:orders" = "5s" }

      # A resource that holds messages is not replaced or deleted unless that is allowed; `sessions` can't be changed in place.
      # holds = { orders = 1284 }
    }
  }
}
