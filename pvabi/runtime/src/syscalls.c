/* SPDX-License-Identifier: MIT */
/*
 * What newlib asks of a system: descriptors 0, 1 and 2 are the console, time is the time CSR and
 * shared_info's wall clock, locks are spinlocks that count their owner, errno is each vCPU's own.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/lock.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "internal.h"

/* ---- descriptors ---- */

ssize_t _write(int fd, const void *buf, size_t n)
{
	if (fd != 1 && fd != 2) {
		errno = EBADF;
		return -1;
	}
	pv_console_write(buf, n);
	return n;
}

ssize_t _read(int fd, void *buf, size_t n)
{
	size_t got;

	if (fd) {
		errno = EBADF;
		return -1;
	}
	while (n && !(got = pv_console_read(buf, n)))
		pv_console_wait();
	return n ? got : 0;
}

int _fstat(int fd, struct stat *st)
{
	if (fd < 0 || fd > 2) {
		errno = EBADF;
		return -1;
	}
	*st = (struct stat){ .st_mode = S_IFCHR | 0600, .st_blksize = 1024 };
	return 0;
}

int _isatty(int fd)
{
	return fd >= 0 && fd <= 2;
}

int _close(int fd)
{
	(void)fd;
	errno = EBADF;
	return -1;
}

off_t _lseek(int fd, off_t offset, int whence)
{
	(void)fd, (void)offset, (void)whence;
	errno = ESPIPE;
	return -1;
}

/* ---- time ---- */

/* The wall clock of shared_info is that of the time CSR's 0 (docs/abi.md, "Idle and time"). */
int _gettimeofday(struct timeval *tv, void *zone)
{
	uint32_t version;
	uint64_t ns, sec;

	(void)zone;
	do {
		version = __atomic_load_n(&pv_shared_info->wc_version, __ATOMIC_ACQUIRE);
		sec = pv_shared_info->wc_sec | (uint64_t)pv_shared_info->wc_sec_hi << 32;
		ns = pv_shared_info->wc_nsec + pv_time_ns();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (version & 1 || version != pv_shared_info->wc_version);
	tv->tv_sec = sec + ns / 1000000000;
	tv->tv_usec = ns % 1000000000 / 1000;
	return 0;
}

int usleep(useconds_t us)
{
	pv_sleep_ns(us * 1000ULL);
	return 0;
}

unsigned int sleep(unsigned int seconds)
{
	pv_sleep_ns(seconds * 1000000000ULL);
	return 0;
}

/* ---- processes: there is one, and no signals ---- */

int _getpid(void)
{
	return 1;
}

int _kill(int pid, int sig)
{
	(void)pid;
	pv_panic("signal %d", sig);
}

/* ---- reentrancy ---- */

struct _reent *__getreent(void)
{
	return &pv_cpu()->reent;
}

struct __lock {
	volatile unsigned int owner; /* vCPU number + 1; 0: free */
	unsigned int depth;
};

struct __lock __lock___sinit_recursive_mutex, __lock___sfp_recursive_mutex;
struct __lock __lock___atexit_recursive_mutex, __lock___at_quick_exit_mutex;
struct __lock __lock___malloc_recursive_mutex, __lock___env_recursive_mutex;
struct __lock __lock___tz_mutex, __lock___dd_hash_mutex, __lock___arc4random_mutex;

void __retarget_lock_init(_LOCK_T *lock)
{
	*lock = calloc(1, sizeof(**lock));
	if (!*lock)
		pv_panic("no memory for a lock");
}

void __retarget_lock_close(_LOCK_T lock)
{
	free(lock);
}

int __retarget_lock_try_acquire(_LOCK_T lock)
{
	unsigned int me = pv_vcpu_id() + 1, nobody = 0;

	/* Before it is taken, and until after it is free: an upcall must not believe that it is. */
	pv_cpu()->locks++;
	if (lock->owner != me && !__atomic_compare_exchange_n(&lock->owner, &nobody, me, false,
							      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		pv_cpu()->locks--;
		return 0;
	}
	lock->depth++;
	return 1;
}

void __retarget_lock_acquire(_LOCK_T lock)
{
	while (!__retarget_lock_try_acquire(lock))
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
}

void __retarget_lock_release(_LOCK_T lock)
{
	if (!--lock->depth)
		__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
	/* What an upcall had to put off */
	if (!--pv_cpu()->locks && xenbus_wish_pending())
		control_look();
}

/* All of them count; newlib has two sets of names. */
void __retarget_lock_init_recursive(_LOCK_T *lock) __attribute__((alias("__retarget_lock_init")));
void __retarget_lock_close_recursive(_LOCK_T lock) __attribute__((alias("__retarget_lock_close")));
void __retarget_lock_acquire_recursive(_LOCK_T lock)
	__attribute__((alias("__retarget_lock_acquire")));
int __retarget_lock_try_acquire_recursive(_LOCK_T lock)
	__attribute__((alias("__retarget_lock_try_acquire")));
void __retarget_lock_release_recursive(_LOCK_T lock)
	__attribute__((alias("__retarget_lock_release")));
