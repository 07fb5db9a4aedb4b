"""The store: verified bundles kept by their address, each file's content once, and copies of it elsewhere.

`layout` says what lies where and makes it durable, `local` is the store on this machine, `retention` decides what goes,
`remote` is a place elsewhere and `transfer` moves bundles there and back. The base installation is enough for the store
and for a folder; S3 and the hub need their clients.
"""
