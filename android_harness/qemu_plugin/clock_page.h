/* What the plug-in (insnclass.c, on the host) and the guest's clock (guest_clock.c) share: one mapped file. */
#pragma once

#include <stdint.h>

enum { CLASSES = 8 };

struct clock_page {
  uint64_t counts[CLASSES]; /* executed instructions by class, in the order of insnclass.c */
  uint64_t tick_classes;    /* bit n: instructions of class n advance the guest's clock */
};
