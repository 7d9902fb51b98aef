package wire

import (
	"encoding/binary"
	"math/bits"
)

// Mask masks or unmasks b in place (§5.3: both are the same) and returns the
// position in the key for the byte that follows b, so that a payload can be
// handled in pieces. pos is the position for b[0], 0 at the beginning of a payload.
func Mask(b []byte, key [4]byte, pos int) (newpos int) {
	newpos = (pos + len(b)) & 3
	k := bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*(pos&3))
	wide := uint64(k)<<32 | uint64(k)
	// Four words a turn: the loop then costs no more than the memory it touches.
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^wide)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^wide)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^wide)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k)
		k = bits.RotateLeft32(k, -8)
	}
	return newpos
}
