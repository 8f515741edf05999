"""The generated messages and stubs of the contract, `proto/postq/v1`."""
