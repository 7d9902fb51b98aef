package dialect

// The headers of an entry that sessions write and codecs read.
const (
	// TagHeader begins the name of a header that holds a tag: the tag "lang" is the header "tag:lang". So a client
	// that chooses the names of its tags cannot write a header that means something to a server.
	TagHeader = "tag:"
	// UpdateHeader, with the value "1", says that an entry of a presence log replaces what was known of a member.
	UpdateHeader = "update"
	// SilentHeader, with the value "1", says that an entry of a presence log changes nothing that is told of a member: it
	// has come back, and the entry is its own again.
	SilentHeader = "silent"
	// NodeHeader names the node that wrote an entry of a presence log and, behind a slash, which of its sessions' it is.
	NodeHeader = "node"
	// CrowdHeader says that an entry of a presence log is not told by itself, because there are too many members, and how
	// many there are with it.
	CrowdHeader = "crowd"
	// EphemeralHeader says that an entry of a channel is deleted when the session ends that wrote it, and when that began, in
	// Unix milliseconds.
	EphemeralHeader = "ephemeral"
	// PresencePrefix begins the names of presence logs: "$presence:chat:lobby" is that of "chat:lobby".
	PresencePrefix = "$presence:"
)
