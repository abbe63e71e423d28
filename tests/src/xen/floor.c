/* The floor: the least that can answer a request in a Xen guest, to compare nanova's start with.
 *
 * As PID 1 it mounts devtmpfs, opens /dev/xen/xenbus, watches data/host, reads each data/host/<id>, answers it in
 * data/guest/<id> without understanding it, and removes it. It tells the kernel's log when xenbus is open and when it
 * has read a request, so that both times are the guest's own. No error is survived: a floor that cannot answer measures
 * nothing. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum { DIRECTORY = 1, READ = 2, WATCH = 4, WRITE = 11, RM = 13, WATCH_EVENT = 15, ERROR = 16 };

struct header {
	uint32_t type, request, transaction, length;
};

static int bus, log_to, fired;

static void fill(void *to, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t got = read(bus, (char *)to + done, length - done);
		if (got <= 0)
			_exit(1);
		done += got;
	}
}

/* One packet; its type, with the payload 0-terminated. */
static uint32_t receive(char payload[4097])
{
	struct header header;
	fill(&header, sizeof header);
	if (header.length > 4096)
		_exit(2);
	fill(payload, header.length);
	payload[header.length] = 0;
	return header.type;
}

/* One request and its reply; events in between are counted. Nonzero on success. */
static int call(uint32_t type, const char *payload, uint32_t length, char reply[4097])
{
	char packet[4096];
	uint32_t got;
	struct header header = { type, 0, 0, length };
	if (length > sizeof packet - sizeof header)
		_exit(3);
	memcpy(packet, &header, sizeof header);
	memcpy(packet + sizeof header, payload, length);
	if (write(bus, packet, sizeof header + length) < 0)
		_exit(4);
	while ((got = receive(reply)) == WATCH_EVENT)
		fired++;
	return got != ERROR;
}

static void say(const char *text)
{
	(void)!write(log_to, text, strlen(text));
}

static void answer(const char *key)
{
	static const char success[] = "{\"returncode\": \"0\", \"message\": \"floor\"}";
	static char value[4097], message[4400], reply[4097];
	char path[4200];
	int length;

	snprintf(path, sizeof path, "data/host/%s", key);
	if (!call(READ, path, strlen(path) + 1, value))
		return;
	say("floor: received a request\n");
	length = snprintf(message, sizeof message, "data/guest/%s", key) + 1;
	length += snprintf(message + length, sizeof message - length, "%s", success);
	if (!call(WRITE, message, length, reply) || !call(RM, path, strlen(path) + 1, reply))
		_exit(5);
}

int main(void)
{
	static const char home[] = "data/host", watch[] = "data/host\0floor";
	static char keys[4097], event[4097];

	mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
	log_to = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	bus = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
	if (bus < 0)
		return 6;
	say("floor: xenbus is open\n");
	call(WATCH, watch, sizeof watch, event);
	for (;;) {
		while (!fired && receive(event) != WATCH_EVENT)
			;
		fired = 0;
		memset(keys, 0, sizeof keys);
		if (call(DIRECTORY, home, sizeof home, keys))
			for (char *key = keys; *key; key += strlen(key) + 1)
				answer(key);
	}
}
