# Infrastructure from plan to destroy, without a cloud: the "queues" are in test-infrastructure.json next to this file.
#
#   dstream plan    test-infrastructure
#   dstream init    test-infrastructure
#   dstream run     test-infrastructure      writes test-infrastructure.rows.jsonl
#   dstream status  test-infrastructure      edit "real" in the JSON file to see drift
#   dstream plan    test-infrastructure --out plan.json --markdown plan.md
#   dstream init    test-infrastructure --plan plan.json      refused if you edit "real" in between
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

      # Make a step fail or take longer: a command, or a command and a resource.
      # fail = { "init:returns" = "transient" }
      # slow = { "init:orders" = "5s" }

      # Resources that hold messages are not replaced or deleted unless allowed. `sessions` cannot be changed in place.
      # holds = { orders = 1284 }
    }
  }
}
