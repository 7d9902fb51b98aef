// Package hub holds this node's windows and cursors: who follows which channel, and what each is due.
package hub
