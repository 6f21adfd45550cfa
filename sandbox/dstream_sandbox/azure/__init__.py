"""Azure Resource Manager as the Pulumi engine sees it: a resource provider in place of `azure-native`.

The engine attaches to it (PULUMI_DEBUG_PROVIDERS=azure-native:PORT). It creates queues and topics in the broker itself.
It runs on the Service Bus process's asyncio loop; only `serving` and `provider` import grpc.

Start with the pure modules: `resource_types` (the emulated types), `ids`, `values`, `checks`, `changes`, `refreshed`.
`cloud` (groups, namespaces), `entities`, `rules_of_subscriptions` and `policies` apply the changes.
"""
