"""Azure Resource Manager as the Pulumi engine sees it: a resource provider that answers for `azure-native`.

The engine attaches to it (PULUMI_DEBUG_PROVIDERS=azure-native:PORT). The queues and topics that it makes are the
broker's own. It runs on the Service Bus process's asyncio loop; only `serving` and `provider` import grpc.

Pure, and read first: `resource_types` (what there is), `ids`, `values`, `checks`, `changes`, `refreshed`. What they
decide is carried out by `cloud` (groups, namespaces), `entities`, `rules_of_subscriptions` and `policies`.
"""
