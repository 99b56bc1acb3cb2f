/* Loaded before the C library when the daemon runs under valgrind, which knows clone(CLONE_VM | CLONE_VFORK) but not
 * with CLONE_FILES, and gives up there. A child with a copy of the descriptors behaves the same. See budgets.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>

int clone(int (*run)(void *), void *stack, int flags, void *argument, ...)
{
    int (*library_clone)(int (*)(void *), void *, int, void *, ...);
    /* As dlsym(3) says to, for ISO C knows no way from an object to a function. */
    *(void **)&library_clone = dlsym(RTLD_NEXT, "clone");
    return library_clone(run, stack, flags & ~CLONE_FILES, argument);
}
