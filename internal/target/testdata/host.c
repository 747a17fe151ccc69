// SPDX-License-Identifier: Apache-2.0
// host PLUGIN.so SECONDS: spends the time in plugin_spin of the shared object.
#include <dlfcn.h>
#include "spend.h"

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	void *plugin = dlopen(argv[1], RTLD_NOW);
	void (*spin)(long) = plugin ? (void (*)(long))dlsym(plugin, "plugin_spin") : NULL;
	if (!spin) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	ready();
	spend(spin, CLOCK_MONOTONIC, atof(argv[2]));
	return 0;
}
