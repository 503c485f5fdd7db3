// SPDX-License-Identifier: BSD-2-Clause
/*
 * The init of a benchmark's initramfs: measures what the kernel's command line asks for (bench=os, block, net, compile, start, dirty),
 * prints a line "bench NAME COUNT NANOSECONDS" for each measurement, and ends the machine.
 * The same program and initramfs run natively and as a guest; in a host it is the other end of a connection, or measures a disk there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/route.h>

#define ROUNDS 5

static bool is_init;

static void die(const char *what)
{
	printf("bench failed: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	if (is_init) {
		sync();
		reboot(RB_POWER_OFF);
	}
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	/* Not the vDSO's: QEMU 10 starts KVM's guests with a clear scounteren, where reading the time in user mode is illegal. */
	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t))
		die("clock");
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void measure(const char *name, unsigned int count, void (*fn)(unsigned int count))
{
	fn(count / 10 + 1); /* caches, page tables, the allocator's lists */
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = now(), end;

		fn(count);
		end = now();
		printf("bench %s %u %llu\n", name, count, (unsigned long long)(end - start));
	}
	fflush(stdout);
}

/* Waits for a key, so that the tracer can be switched on (tracer.py), and does what is to be traced. */
static void traced(unsigned int count, void (*fn)(unsigned int count))
{
	char key;

	fn(count);
	fn(count);
	printf("bench ready\n");
	fflush(stdout);
	if (read(0, &key, 1) != 1)
		die("console");
	fn(count);
	printf("bench traced\n");
	fflush(stdout);
	sleep(1);
}

/* ---- the operating system ---- */

static void getppid_loop(unsigned int n)
{
	while (n--)
		syscall(SYS_getppid);
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		die("child");
}

static void fork_wait(unsigned int n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		wait_for(pid);
	}
}

static void fork_exec(unsigned int n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid) {
			execl("/init", "init", "nothing", NULL);
			_exit(1);
		}
		wait_for(pid);
	}
}

static void pipe_round_trip(unsigned int n)
{
	int there[2], back[2];
	char byte = 0;
	pid_t pid;

	if (pipe(there) || pipe(back))
		die("pipe");
	pid = fork();
	if (!pid) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	for (unsigned int i = 0; i < n; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			die("pipe");
	close(there[1]);
	wait_for(pid);
	close(there[0]);
	close(back[0]);
	close(back[1]);
}

static void first_touch(unsigned int n)
{
	size_t size = n * 4096UL;
	volatile char *p =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	munmap((void *)p, size);
}

static void cpu_loop(unsigned int n)
{
	uint64_t x = 88172645463325252ULL;

	while (n--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	if (!x)
		die("the loop");
}

/* As the program of that name does it: groups of senders and receivers, where each sender writes to each of its receivers. */
#define GROUPS 2
#define ENDS 5
#define MESSAGE 100

static void send_all(const int to[ENDS], unsigned int loops)
{
	char message[MESSAGE] = { 0 };

	while (loops--)
		for (unsigned int i = 0; i < ENDS; i++)
			for (size_t done = 0; done < MESSAGE;) {
				ssize_t n = write(to[i], message + done, MESSAGE - done);

				if (n <= 0)
					_exit(1);
				done += n;
			}
	_exit(0);
}

static void receive_all(int from, size_t size)
{
	char message[MESSAGE];

	while (size) {
		ssize_t n = read(from, message, size < MESSAGE ? size : MESSAGE);

		if (n <= 0)
			_exit(1);
		size -= n;
	}
	_exit(0);
}

/* n messages of each sender to each receiver. */
static void messages(unsigned int n)
{
	pid_t pid[GROUPS * ENDS * 2];
	unsigned int count = 0;

	for (unsigned int g = 0; g < GROUPS; g++) {
		int pair[ENDS][2], to[ENDS];

		for (unsigned int i = 0; i < ENDS; i++) {
			if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair[i]))
				die("socketpair");
			to[i] = pair[i][1];
			pid[count] = fork();
			if (!pid[count++])
				receive_all(pair[i][0], (size_t)n * ENDS * MESSAGE);
		}
		for (unsigned int i = 0; i < ENDS; i++) {
			pid[count] = fork();
			if (!pid[count++])
				send_all(to, n);
		}
		for (unsigned int i = 0; i < ENDS; i++) {
			close(pair[i][0]);
			close(pair[i][1]);
		}
	}
	while (count)
		wait_for(pid[--count]);
}

/* A file of C as the preprocessor leaves it, by the compiler of the initramfs. Not in KVM's guests: it reads the time (now()). */
static void compile(unsigned int n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid) {
			execl("/usr/bin/cc1", "cc1", "-quiet", "-O2", "-march=rv64gc",
			      "-mabi=lp64d", "-fpreprocessed", "/osbench.i", "-o", "/dev/null",
			      NULL);
			_exit(1);
		}
		wait_for(pid);
	}
}

static void bench_os(void)
{
	measure("getppid", 10000, getppid_loop);
	measure("fork+wait", 100, fork_wait);
	measure("fork+exec", 50, fork_exec);
	measure("pipe", 1000, pipe_round_trip);
	measure("touch", 2048, first_touch);
	measure("messages", 20, messages);
	measure("cpu", 4000000, cpu_loop);
}

/* ---- block ---- */

static int disk;
static uint64_t disk_size;
static char *buffer;

static void random_read(unsigned int n)
{
	static uint64_t x = 88172645463325252ULL;

	while (n--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (pread(disk, buffer, 4096, x % (disk_size / 4096) * 4096) != 4096)
			die("pread");
	}
}

static void sequential_read(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (pread(disk, buffer, 1 << 20, (uint64_t)i << 20) != 1 << 20)
			die("pread");
}

/* The same with that many reads in flight at any time, as fio's libaio does it. */
#define DEPTH 32
static aio_context_t flights; /* for good: its end waits for all CPUs */

static void random_read_flying(unsigned int n, unsigned int depth)
{
	static uint64_t x = 88172645463325252ULL;
	static struct iocb blocks[DEPTH], *which[DEPTH];
	struct io_event done[DEPTH];
	unsigned int left = n, ready = depth, flying = 0;

	for (unsigned int i = 0; i < depth; i++)
		which[i] = &blocks[i];
	while (left || flying) {
		unsigned int count = ready < left ? ready : left;
		long ended;

		for (unsigned int i = 0; i < count; i++) {
			struct iocb *b = which[i];
			uint64_t slot = b - blocks;

			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			*b = (struct iocb){ .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = disk };
			b->aio_data = slot;
			b->aio_buf = (uintptr_t)buffer + slot * 4096;
			b->aio_nbytes = 4096;
			b->aio_offset = x % (disk_size / 4096) * 4096;
		}
		if (count && syscall(SYS_io_submit, flights, (long)count, which) != count)
			die("io_submit");
		left -= count;
		flying += count;
		ended = syscall(SYS_io_getevents, flights, 1L, (long)depth, done, NULL);
		if (ended < 1)
			die("io_getevents");
		for (long i = 0; i < ended; i++) {
			if (done[i].res != 4096)
				die("a read in flight");
			which[i] = &blocks[done[i].data];
		}
		flying -= ended;
		ready = ended;
	}
}

static void random_read_16(unsigned int n)
{
	random_read_flying(n, 16);
}

static void random_read_32(unsigned int n)
{
	random_read_flying(n, 32);
}

static void open_disk(const char *path)
{
	disk = open(path, O_RDONLY | O_DIRECT);
	if (disk < 0 || ioctl(disk, BLKGETSIZE64, &disk_size))
		die(path);
	if (posix_memalign((void **)&buffer, 4096, 1 << 20))
		die("memory");
	memset(buffer, 1, 1 << 20);
	if (syscall(SYS_io_setup, DEPTH, &flights))
		die("io_setup");
}

static void bench_block(const char *path)
{
	open_disk(path);
	measure("blk-4k-random", 500, random_read);
	measure("blk-4k-16", 1024, random_read_16);
	measure("blk-4k-32", 1024, random_read_32);
	measure("blk-1m-sequential", 16, sequential_read);
}

/* @what: bench=block-trace and one of these behind it */
static void trace_block(const char *path, const char *what)
{
	open_disk(path);
	if (strstr(what, "-32"))
		traced(1024, random_read_32);
	else if (strstr(what, "-sequential"))
		traced(16, sequential_read);
	else
		traced(21, random_read);
}

/* ---- network ---- */

static void interface_up(const char *name, const char *address)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(ifr.ifr_name, name);
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr(address);
	if (ioctl(s, SIOCSIFADDR, &ifr))
		die("address");
	in->sin_addr.s_addr = inet_addr("255.255.255.0");
	if (ioctl(s, SIOCSIFNETMASK, &ifr))
		die("netmask");
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(s, SIOCSIFFLAGS, &ifr))
		die("up");
	close(s);
}

static int connect_to(const char *address, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, s;

	to.sin_addr.s_addr = inet_addr(address);
	for (int i = 0; i < 100; i++) {
		s = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!connect(s, (struct sockaddr *)&to, sizeof(to)))
			return s;
		close(s);
		usleep(100000);
	}
	die("connect");
	return -1;
}

/*
 * A request is a block of HEAD bytes: 's' and a size, followed by so many bytes, which are answered with one; or 'g' and a size,
 * answered with so many bytes. Anything else is a single byte and sent back. A whole block, so that what follows stays aligned: Linux
 * copies bytes one by one else, natively too.
 */
#define HEAD 64

static int tcp;

static void tcp_round_trip(unsigned int n)
{
	char byte = 'r';

	while (n--)
		if (write(tcp, &byte, 1) != 1 || read(tcp, &byte, 1) != 1)
			die("tcp");
}

#define PIECE 65536
static char piece[PIECE] __attribute__((aligned(4096)));

/* All of size bytes to a socket, or from it. */
static bool pass(int s, uint32_t size, bool out)
{
	while (size) {
		uint32_t most = size < PIECE ? size : PIECE;
		ssize_t done = out ? write(s, piece, most) : read(s, piece, most);

		if (done <= 0)
			return false;
		size -= done;
	}
	return true;
}

static void ask(char what, uint32_t size)
{
	char head[HEAD] = { what };

	memcpy(head + 4, &size, 4);
	if (write(tcp, head, HEAD) != HEAD)
		die("tcp");
}

/* n MiB to the other end, until it says that it has them. */
static void tcp_stream(unsigned int n)
{
	char byte;

	ask('s', n << 20);
	if (!pass(tcp, n << 20, true) || read(tcp, &byte, 1) != 1)
		die("tcp");
}

/* n MiB from the other end. */
static void tcp_stream_back(unsigned int n)
{
	ask('g', n << 20);
	if (!pass(tcp, n << 20, false))
		die("tcp");
}

/* Serves a request whose first byte has been read. */
static bool serve_stream(int s, char what)
{
	char rest[HEAD - 1];
	uint32_t size;

	if (recv(s, rest, HEAD - 1, MSG_WAITALL) != HEAD - 1)
		return false;
	memcpy(&size, rest + 3, 4);
	return pass(s, size, what == 'g') && (what == 'g' || write(s, &what, 1) == 1);
}

/*
 * Datagrams, by their first byte: 'n' is taken and no more, 'e' is sent back, 'b' is answered with a burst of its own size. Each burst ends with
 * an answer, so that none is lost for want of room.
 */
#define BURST 16
#define LARGE 1400
#define SMALL 64

static int udp;

static void datagram(char what, size_t size)
{
	piece[0] = what;
	if (write(udp, piece, size) != (ssize_t)size)
		die("udp: write");
}

static void answer(size_t size)
{
	if (read(udp, piece, PIECE) != (ssize_t)size)
		die("udp: an answer is missing");
}

static void udp_round_trip(unsigned int n)
{
	while (n--) {
		datagram('e', SMALL);
		answer(SMALL);
	}
}

static void udp_bursts(unsigned int n, size_t size)
{
	for (unsigned int done = 0; done < n; done += BURST) {
		for (unsigned int i = 1; i < BURST; i++)
			datagram('n', size);
		datagram('e', size);
		answer(size);
	}
}

static void udp_large(unsigned int n)
{
	udp_bursts(n, LARGE);
}

static void udp_small(unsigned int n)
{
	udp_bursts(n, SMALL);
}

static void udp_back(unsigned int n, size_t size)
{
	for (unsigned int done = 0; done < n; done += BURST) {
		datagram('b', size);
		for (unsigned int i = 0; i < BURST; i++)
			answer(size);
	}
}

static void udp_large_back(unsigned int n)
{
	udp_back(n, LARGE);
}

static void udp_small_back(unsigned int n)
{
	udp_back(n, SMALL);
}

static void over_udp(const char *other)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7777) };
	struct timeval limit = { .tv_sec = 5 };
	pid_t pid = fork();

	if (!pid) {
		to.sin_addr.s_addr = inet_addr(other);
		udp = socket(AF_INET, SOCK_DGRAM, 0);
		setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		if (connect(udp, (struct sockaddr *)&to, sizeof(to)))
			die("udp: connect");
		measure("udp-round-trip", 500, udp_round_trip);
		measure("udp-large", 100 * BURST, udp_large);
		measure("udp-small", 100 * BURST, udp_small);
		measure("udp-large-back", 100 * BURST, udp_large_back);
		measure("udp-small-back", 100 * BURST, udp_small_back);
		_exit(0);
	}
	wait_for(pid);
}

static void serve_udp(int port)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(port) }, from;
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(s, (struct sockaddr *)&own, sizeof(own)))
		die("udp: bind");
	for (;;) {
		socklen_t length = sizeof(from);
		ssize_t size = recvfrom(s, piece, PIECE, 0, (struct sockaddr *)&from, &length);
		unsigned int answers = size <= 0 || piece[0] == 'n' ? 0 :
				       piece[0] == 'b'		    ? BURST :
								      1;

		while (answers--)
			sendto(s, piece, size, 0, (struct sockaddr *)&from, length);
	}
}

static void serve(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), s;
	char byte;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&to, sizeof(to)) || listen(listener, 4))
		die("listen");
	if (!fork())
		serve_udp(port);
	for (;;) {
		s = accept(listener, NULL, NULL);
		setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while (read(s, &byte, 1) == 1)
			if (byte == 's' || byte == 'g' ? !serve_stream(s, byte) :
							 write(s, &byte, 1) != 1)
				break;
		close(s);
	}
}

/* A process and a connection for each: small writes of the one leave the other's pages unaligned. */
static void over_tcp(const char *other, const char *name, unsigned int count,
		     void (*fn)(unsigned int count))
{
	pid_t pid = fork();

	if (!pid) {
		tcp = connect_to(other, 7777);
		if (name)
			measure(name, count, fn);
		else
			traced(count, fn);
		_exit(0);
	}
	wait_for(pid);
}

static void bench_net(const char *device, const char *own, const char *other)
{
	memset(piece, 1, PIECE);
	interface_up(device, own);
	over_tcp(other, "tcp-round-trip", 500, tcp_round_trip);
	over_tcp(other, "tcp-stream", 8, tcp_stream);
	over_tcp(other, "tcp-stream-back", 8, tcp_stream_back);
	over_udp(other);
}

static void trace_net(const char *other, bool back)
{
	memset(piece, 1, PIECE);
	interface_up("eth0", "10.77.0.2");
	over_tcp(other, NULL, 1, back ? tcp_stream_back : tcp_stream);
}

/* Natively there is no other side: both ends on loopback, as platform-facts measured them. */
static void bench_loopback(void)
{
	pid_t pid = fork();

	if (!pid)
		serve(7777);
	bench_net("lo", "127.0.0.1", "127.0.0.1");
}

/* Writes to so many pages each 10 ms, of 64 MiB, one after the other, for ever: for who moves it meanwhile. */
static void dirty(unsigned int pages)
{
	const size_t all = 64 << 20, page = 4096;
	volatile char *at = mmap(NULL, all, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	size_t next = 0;

	if (at == MAP_FAILED)
		die("mmap");
	for (;;) {
		for (unsigned int i = 0; i < pages; i++, next = (next + page) % all)
			at[next]++;
		usleep(10000);
	}
}

/* How long it took to get here: in ticks of the machine's clock, and since the kernel has kept time itself. */
static void start(void)
{
	uint64_t began;

	__asm__ volatile("rdtime %0" : "=r"(began)); /* not in KVM's guests: now() */
	printf("main %llu\n", (unsigned long long)began);
	printf("bench boot 1 %llu\n", (unsigned long long)now());
	printf("bench done\n");
	fflush(stdout);
	usleep(200000);
	reboot(RB_POWER_OFF);
}

int main(int argc, char **argv)
{
	char cmdline[2048] = "";
	const char *disk_path, *trace;
	int fd;

	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc > 2 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (argc > 2 && !strcmp(argv[1], "disk")) {
		bench_block(argv[2]);
		printf("bench done\n");
		return 0;
	}
	if (getpid() != 1) {
		fprintf(stderr,
			"usage: osbench serve PORT, osbench disk FILE; otherwise it is an init (tests/bench/bench.py)\n");
		return 2;
	}
	is_init = true;
	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	fd = open("/proc/cmdline", O_RDONLY);
	if (fd < 0 || read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		die("/proc/cmdline");
	setvbuf(stdout, NULL, _IOFBF, 65536);
	if (strstr(cmdline, "bench=start"))
		start();
	sleep(1); /* the kernel's own beginnings */
	/* Xen's disk, or virtio's where KVM is measured */
	disk_path = access("/dev/xvda", F_OK) ? "/dev/vda" : "/dev/xvda";
	trace = strstr(cmdline, "bench=block-trace");
	if (strstr(cmdline, "bench=os"))
		bench_os();
	else if (strstr(cmdline, "bench=compile"))
		measure("compile", 1, compile);
	else if (trace)
		trace_block(disk_path, trace);
	else if (strstr(cmdline, "bench=block"))
		bench_block(disk_path);
	else if (strstr(cmdline, "bench=net-trace"))
		trace_net("10.77.0.1", strstr(cmdline, "bench=net-trace-back"));
	else if (strstr(cmdline, "bench=net-serve")) {
		interface_up("eth0", "10.77.0.3");
		serve(7777);
	} else if (strstr(cmdline, "bench=net"))
		bench_net("eth0", "10.77.0.2",
			  strstr(cmdline, "bench=net-guest") ? "10.77.0.3" : "10.77.0.1");
	else if ((trace = strstr(cmdline, "bench=dirty-")))
		dirty(atoi(trace + strlen("bench=dirty-")));
	else if (strstr(cmdline, "bench=loopback"))
		bench_loopback();
	else
		die("no bench= on the command line");
	printf("bench done\n");
	fflush(stdout);
	usleep(200000);
	reboot(RB_POWER_OFF);
	return 0;
}
