"""What `plan`, `init`, `status` and `destroy` read from Azure, record and report."""
