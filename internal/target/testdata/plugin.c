// SPDX-License-Identifier: Apache-2.0
// A shared object with one function, for host.
#include "spend.h"

SPEND(plugin_spin)
