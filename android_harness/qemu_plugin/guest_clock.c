/* A library for the emulated program: its time is the number of instructions that it executed, 1 us for one.
 *
 * A runtime's own profiler then reports instructions for each operator, without a change in the runtime. Runtimes
 * report whole microseconds, so the counts are exact. The counters come from the plug-in insnclass.c through a mapped file.
 *
 *   aarch64-linux-gnu-gcc -shared -fPIC -O2 -o libguestclock.so guest_clock.c
 *   qemu-aarch64 -plugin libinsnclass.so,clock=FILE -E LD_PRELOAD=libguestclock.so -E EDGEDEPLOY_GUEST_CLOCK=FILE PROGRAM
 *
 * CPU time stays what the kernel reports. Waiting with a time-out means nothing under this clock: for one thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "clock_page.h"

enum { MICROSECONDS_PER_SECOND = 1000000 };
enum { START_SECONDS = 1000 }; /* a clock that begins at 0 looks unset to some programs */

static const volatile struct clock_page *page;

__attribute__((constructor)) static void map_page(void) {
  const char *file = getenv("EDGEDEPLOY_GUEST_CLOCK");
  const int fd = file == NULL ? -1 : open(file, O_RDONLY);
  void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *page, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) {
    fprintf(stderr, "EDGEDEPLOY_GUEST_CLOCK names no file of the instruction counter\n");
    _exit(EXIT_FAILURE);
  }
  close(fd);
  page = mapped;
}

static uint64_t ticks(void) {
  if (page == NULL) return 0; /* another library's constructor runs before this one's */
  uint64_t sum = 0;
  for (int i = 0; i < CLASSES; i++)
    if (page->tick_classes >> i & 1) sum += page->counts[i];
  return sum;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
    return (int)syscall(SYS_clock_gettime, clock, time);
  const uint64_t now = ticks();
  time->tv_sec = START_SECONDS + (time_t)(now / MICROSECONDS_PER_SECOND);
  time->tv_nsec = (long)(now % MICROSECONDS_PER_SECOND) * 1000;
  return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  const uint64_t now = ticks();
  time->tv_sec = START_SECONDS + (time_t)(now / MICROSECONDS_PER_SECOND);
  time->tv_usec = (suseconds_t)(now % MICROSECONDS_PER_SECOND);
  return 0;
}
