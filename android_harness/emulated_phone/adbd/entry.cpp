// What the phone adds to Android's own adbd, which is compiled beside this file unchanged: an entry point that reads the
// device's properties, opens the one port, leaves the network and drops to Android's shell user; and the few functions
// that the Linux build of adbd names and does not bring.
//
//   PHONE_PORT   TCP port, on loopback, of the network in which adbd was started
//   PHONE_UID    user and group to become (2000 is Android's "shell"); unset: stay as started

#include <arpa/inet.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>

#include <android-base/properties.h>

#include "adb.h"
#include "adb_auth.h"
#include "transport.h"

// Authorisation: this phone trusts whoever reaches its loopback port, so none of these is ever called to decide.
bool auth_required = false;
void adbd_auth_init() {}
void adbd_cloexec_auth_socket() {}
void adbd_auth_verified(atransport* t) { handle_online(t); send_connect(t); }
bool adbd_auth_verify(const char*, size_t, const std::string&, std::string*) { return true; }
void adbd_auth_confirm_key(atransport*) {}
void adbd_notify_framework_connected_key(atransport*) {}
void send_auth_request(atransport*) {}

// Android's table of owners and modes; asked only for paths outside /data.
extern "C" void fs_config(const char*, int, const char*, unsigned*, unsigned*, unsigned*, uint64_t*) {}

// adbd reads errno after listen() even when it succeeded, and takes an EINVAL left by an earlier parse for a failure.
// Linked with --wrap=listen.
extern "C" int __real_listen(int socket, int backlog);
extern "C" int __wrap_listen(int socket, int backlog) {
    int result = __real_listen(socket, backlog);
    if (result == 0) errno = 0;
    return result;
}

int android_adbd_main(int argc, char** argv);  // AOSP's main, renamed by the compiler's command line

static void refuse(const char* step) {
    perror(step);
    exit(1);
}

// A listening socket of the network outside, held by a process that then lives in an empty network of its own: adb
// comes in, nothing goes out.
static int listen_then_leave_the_network(int port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);  // not close-on-exec: adbd takes that for "in use" and waits
    int on = 1;
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0) refuse("phone: socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address)) refuse("phone: bind");
    if (__real_listen(listener, 64)) refuse("phone: listen");
    if (unshare(CLONE_NEWNET)) refuse("phone: unshare the network");

    int control = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq loopback = {};
    strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(control, SIOCSIFFLAGS, &loopback)) refuse("phone: loopback up");
    close(control);
    return listener;
}

static void read_properties(const char* path) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        auto equals = line.find('=');
        if (equals != std::string::npos && line[0] != '#')
            android::base::SetProperty(line.substr(0, equals), line.substr(equals + 1));
    }
}

static void become(unsigned id) {
    if (setgroups(0, nullptr) || setresgid(id, id, id) || setresuid(id, id, id)) refuse("phone: become shell");
}

int main(int argc, char** argv) {
    read_properties("/system/build.prop");
    const char* port = getenv("PHONE_PORT");
    int listener = listen_then_leave_the_network(atoi(port ? port : "5555"));
    android::base::SetProperty("service.adb.listen_addrs", "acceptfd:" + std::to_string(listener));
    if (const char* uid = getenv("PHONE_UID")) become(atoi(uid));
    unsetenv("PHONE_PORT");
    unsetenv("PHONE_UID");
    return android_adbd_main(argc, argv);
}
