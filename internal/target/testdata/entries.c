/* entries ROUNDS: calls functions whose entries are hard to probe, which look like an allocator's by their names, and checks
 * what they return each time. It prints "ready", and "intact CALLS" if all was right. x86-64 only. */
#include <stdio.h>
#include <stdlib.h>

/* Returns n, kept below the stack pointer across a NOP of five bytes: the red zone (System V ABI, 3.2.2). */
unsigned long je_malloc(unsigned long n);
/* Returns n * size, behind a mark for indirect branches. */
unsigned long je_calloc(unsigned long n, unsigned long size);
/* Returns its second argument; begins with a NOP of five bytes. */
unsigned long je_realloc(unsigned long p, unsigned long n);
/* Jumps back to its entry as often as its first argument says, and returns the second. */
unsigned long je_memalign(unsigned long n, unsigned long size);
/* Returns n; begins with a NOP of five bytes, to which it jumps back while it keeps n below the stack pointer. */
unsigned long je_mallocx(unsigned long n, unsigned long first);

#define FUNCTION(name, body) \
	asm(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n" body ".size " #name ", .-" #name "\n")

FUNCTION(je_malloc, "mov %rdi,-8(%rsp)\n"
		    "mov %rdi,-16(%rsp)\n"
		    ".byte 0x0f,0x1f,0x44,0x00,0x00\n"
		    "mov -8(%rsp),%rax\n"
		    "add -16(%rsp),%rax\n"
		    "shr $1,%rax\n"
		    "ret\n");
FUNCTION(je_calloc, ".byte 0xf3,0x0f,0x1e,0xfa\n"
		    "push %rbx\n"
		    "mov %rdi,%rbx\n"
		    "imul %rsi,%rbx\n"
		    "mov %rbx,%rax\n"
		    "pop %rbx\n"
		    "ret\n");
FUNCTION(je_realloc, ".byte 0x0f,0x1f,0x44,0x00,0x00\n"
		     "mov %rsi,-8(%rsp)\n"
		     "mov -8(%rsp),%rax\n"
		     "ret\n");
FUNCTION(je_memalign, "dec %rdi\n"
		      "mov %rsi,-8(%rsp)\n"
		      "test %rdi,%rdi\n"
		      "jg je_memalign\n"
		      "mov -8(%rsp),%rax\n"
		      "ret\n");
FUNCTION(je_mallocx, ".byte 0x0f,0x1f,0x44,0x00,0x00\n"
		     "add $0,%rdi\n"
		     "test %rsi,%rsi\n"
		     "jz 1f\n"
		     "mov %rdi,-8(%rsp)\n"
		     "xor %esi,%esi\n"
		     "jmp je_mallocx\n"
		     "1: mov -8(%rsp),%rax\n"
		     "ret\n");

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000, wrong = 0;

	printf("ready\n");
	fflush(stdout);
	for (unsigned long i = 1; i <= rounds; i++) {
		wrong += je_malloc(i) != i;
		wrong += je_calloc(i, 3) != 3 * i;
		wrong += je_realloc(1, i) != i;
		wrong += je_memalign(i % 4 + 1, i) != i;
		wrong += je_mallocx(i, 1) != i;
	}
	if (wrong) {
		printf("wrong %lu\n", wrong);
		return 1;
	}
	printf("intact %lu\n", 5 * rounds);
	return 0;
}
