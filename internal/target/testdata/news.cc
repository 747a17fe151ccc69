// news ROUNDS: asks C++'s operators for memory in functions of their own, and prints for each "site_NAME OBJECTS BYTES".
#include <cstdio>
#include <cstdlib>
#include <new>

#define NOINLINE __attribute__((noinline))

struct truth {
	unsigned long objects, bytes;
};
static truth one, array, aligned, caught;
static volatile unsigned long sink;

static void took(truth &t, void *p, size_t bytes)
{
	t.objects++;
	t.bytes += bytes;
	sink += (unsigned long)p;
}

struct alignas(64) line {
	char text[128];
};

NOINLINE void site_one(unsigned i)
{
	size_t size = 16 + i % 500;
	void *p = ::operator new(size);
	took(one, p, size);
	::operator delete(p, size);
}

NOINLINE void site_array(unsigned i)
{
	size_t size = 1000 + i % 64;
	char *p = new char[size];
	took(array, p, size);
	delete[] p;
}

NOINLINE void site_aligned()
{
	line *p = new line;
	took(aligned, p, sizeof(*p));
	delete p;
}

// What cannot be had is thrown through the helper, and is not counted; what is had after that is.
NOINLINE void site_caught(bool throws)
{
	try {
		if (throws) {
			volatile size_t huge = (size_t)1 << 62;
			sink += (unsigned long)::operator new(huge);
		}
	} catch (std::bad_alloc &) {
	}
	void *p = ::operator new(3000, std::nothrow);
	took(caught, p, 3000);
	::operator delete(p, std::nothrow);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? atoi(argv[1]) : 1000;
	// mimalloc's operators, being C, end the program when there is no memory.
	bool throws = !getenv("LD_PRELOAD") || !__builtin_strstr(getenv("LD_PRELOAD"), "mimalloc");

	for (unsigned i = 0; i < rounds; i++) {
		site_one(i);
		site_array(i);
		site_aligned();
		site_caught(throws && i % 1000 == 0);
	}
	printf("site_one %lu %lu\nsite_array %lu %lu\nsite_aligned %lu %lu\nsite_caught %lu %lu\n", one.objects, one.bytes,
	       array.objects, array.bytes, aligned.objects, aligned.bytes, caught.objects, caught.bytes);
}
