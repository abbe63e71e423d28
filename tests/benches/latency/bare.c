/* What nanova's start is compared with, linked statically: a program that prints one line and ends; or, with the path of
 * xenstored's socket, one that sets the first watch. No error is survived. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WATCH = 4 };

static int watch(const char *path)
{
	static const char payload[] = "data/host\0bare";
	struct {
		uint32_t type, request, transaction, length;
		char payload[sizeof payload];
	} packet = { WATCH, 0, 0, sizeof payload, { 0 } };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int bus = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	memcpy(packet.payload, payload, sizeof payload);
	if (connect(bus, (struct sockaddr *)&address, sizeof address) < 0)
		return 1;
	return write(bus, &packet, 16 + sizeof payload) < 0 || pause() < 0;
}

int main(int argc, char **argv)
{
	return argc > 1 ? watch(argv[1]) : puts("guest") < 0;
}
