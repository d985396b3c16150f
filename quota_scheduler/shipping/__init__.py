"""What another host reads goes to the service over HTTP: the wire format, the clock between two hosts, the shipper."""
