"""Small providers that come with DStream, built on the public SDK only: read them to learn how one is written."""
