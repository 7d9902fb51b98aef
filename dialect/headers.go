package dialect

// The headers of an entry that sessions write and codecs read.
const (
	// TagHeader begins the name of a header that holds a tag: the tag "lang" is the header "tag:lang". So a client
	// that chooses the names of its tags cannot write a header that means something to a server.
	TagHeader = "tag:"
	// UpdateHeader, with the value "1", says that an entry of a presence log replaces what was known of a member.
	UpdateHeader = "update"
	// PresencePrefix begins the names of presence logs: "$presence:chat:lobby" is that of "chat:lobby".
	PresencePrefix = "$presence:"
)
