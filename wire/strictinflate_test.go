package wire

import "hocket.dev/internal/strictflate"

// strictInflate judges what the compressors here make.
var strictInflate = strictflate.Inflate
