"""Azure Resource Manager as the Pulumi engine sees it: a resource provider that answers for `azure-native`.

The engine attaches to it (PULUMI_DEBUG_PROVIDERS=azure-native:PORT). It creates queues and topics in the broker itself.
It runs on the Service Bus process's asyncio loop; only `serving` and `provider` import grpc.

Start with the pure modules: `resource_types` (the emulated types), `ids`, `values`, `checks`, `changes`, `refreshed`.
Their decisions are carried out by `cloud` (groups, namespaces), `entities`, `rules_of_subscriptions` and `policies`.
"""
