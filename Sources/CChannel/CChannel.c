// SPDX-License-Identifier: Apache-2.0
// SwiftPM builds a C target only when it has a source file; the protocol is all in the header.
#include "CChannel.h"

_Static_assert(sizeof(struct sbx_header) == 8, "the header is 8 bytes on every side");
