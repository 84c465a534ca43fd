/* A QEMU plug-in that counts the executed A64 instructions of each inference, by class.
 *
 * The runner executes `movz xzr, #0xed01` before an inference and `movz xzr, #0xed02` after it (runner/measure.cpp);
 * both do nothing. The counters are read at these two instructions, so start-up, loading and the runner's own loop are
 * never part of an inference's count.
 *
 * It declares the few functions of QEMU's plug-in API that it needs, version 1 of it: QEMU 4.2 to 8.2. (QEMU 9 dropped
 * plain inline counters and refuses to load a plug-in of version 1.) The counters are exact for a guest of one thread;
 * two threads may lose updates.
 *
 *   cc -shared -fPIC -O2 -o libinsnclass.so insnclass.c
 *   qemu-aarch64 -plugin ./libinsnclass.so -d plugin -D counts.json PROGRAM ...
 *
 * With `clock=FILE,tick=CLASSES` the counters lie in FILE, where guest_clock.c reads them: the guest's time is then the
 * number of executed instructions of these classes ("all", or names joined by "+").
 *
 *   qemu-aarch64 -plugin ./libinsnclass.so,clock=FILE,tick=float_mac+int8_dot ... PROGRAM ...
 *
 * Encodings: Arm Architecture Reference Manual for A-profile (DDI 0487), section C4.1, "A64 instruction set encoding".
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock_page.h"

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*call)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_atexit_cb(plugin_id id, void (*call)(plugin_id, void *), void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int operation, void *counter,
                                                       uint64_t amount);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*call)(unsigned, void *),
                                                   int registers, void *data);
extern void qemu_plugin_outs(const char *text);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

enum { ADD_U64 = 0, NO_REGISTERS = 0 };

enum {
  INTEGER,          /* data processing on X registers */
  BRANCH,           /* branches, exceptions, system, barriers */
  LOAD_STORE,       /* of X registers */
  SIMD_LOAD_STORE,  /* of V registers */
  FLOAT_MAC,        /* vector multiply-add in half, single or double: FMLA, FMLS */
  INT8_DOT,         /* SDOT, UDOT, USDOT, SUDOT, SMMLA, UMMLA, USMMLA */
  SIMD_OTHER,       /* the rest of SIMD and scalar floating point */
  OTHER             /* SVE, SME, reserved */
};
static const char *const class_names[CLASSES] = {"integer",   "branch",   "load_store", "simd_load_store",
                                                 "float_mac", "int8_dot", "simd_other", "other"};

enum { MAX_INFERENCES = 4096 };
static struct clock_page private_page;
static struct clock_page *page = &private_page;
static uint64_t at_begin[MAX_INFERENCES][CLASSES], at_end[MAX_INFERENCES][CLASSES];
static unsigned begun, ended;

struct pattern {
  uint32_t mask, value;
};

static const struct pattern float_macs[] = {
    {0xBF20FC00, 0x0E20CC00}, /* FMLA, FMLS: vector, single and double */
    {0xBF60FC00, 0x0E400C00}, /* vector, half */
    {0xBF80B400, 0x0F801000}, /* by element, single and double */
    {0xBFC0B400, 0x0F001000}, /* by element, half */
};
static const struct pattern int8_dots[] = {
    {0x9FE0FC00, 0x0E809400}, /* SDOT, UDOT: vector */
    {0x9FC0F400, 0x0F80E000}, /* by element */
    {0xBFE0FC00, 0x0E809C00}, /* USDOT: vector */
    {0xBF40F400, 0x0F00F000}, /* USDOT, SUDOT: by element */
    {0xDFE0F400, 0x4E80A400}, /* SMMLA, UMMLA, USMMLA */
};

static int any(const struct pattern *patterns, size_t count, uint32_t word) {
  for (size_t i = 0; i < count; i++)
    if ((word & patterns[i].mask) == patterns[i].value) return 1;
  return 0;
}
#define ANY(patterns, word) any(patterns, sizeof(patterns) / sizeof *(patterns), word)

static int class_of(uint32_t word) {
  const unsigned op0 = word >> 25 & 15;
  if ((op0 & 14) == 8) return INTEGER;                                       /* immediate */
  if ((op0 & 7) == 5) return INTEGER;                                        /* register */
  if ((op0 & 14) == 10) return BRANCH;
  if ((op0 & 5) == 4) return word >> 26 & 1 ? SIMD_LOAD_STORE : LOAD_STORE;  /* bit 26: V registers */
  if ((op0 & 7) == 7) return ANY(float_macs, word) ? FLOAT_MAC : ANY(int8_dots, word) ? INT8_DOT : SIMD_OTHER;
  return OTHER;
}

static void on_inference_begin(unsigned vcpu, void *data) {
  (void)vcpu, (void)data;
  if (begun == ended && begun < MAX_INFERENCES) memcpy(at_begin[begun++], page->counts, sizeof page->counts);
}

static void on_inference_end(unsigned vcpu, void *data) {
  (void)vcpu, (void)data;
  if (ended < begun) memcpy(at_end[ended++], page->counts, sizeof page->counts);
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb) {
  (void)id;
  for (size_t i = 0, count = qemu_plugin_tb_n_insns(tb); i < count; i++) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
    if (word == (0xD280001Fu | 0xED01u << 5))
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_inference_begin, NO_REGISTERS, NULL);
    else if (word == (0xD280001Fu | 0xED02u << 5))
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_inference_end, NO_REGISTERS, NULL);
    else
      qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &page->counts[class_of(word)], 1);
  }
}

static void print_counts(const char *prefix, const uint64_t *counts, const uint64_t *less) {
  char text[512];
  size_t used = (size_t)snprintf(text, sizeof text, "%s{", prefix);
  for (int i = 0; i < CLASSES; i++)
    used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\":%" PRIu64, i ? "," : "", class_names[i],
                             counts[i] - (less ? less[i] : 0));
  snprintf(text + used, sizeof text - used, "}");
  qemu_plugin_outs(text);
}

static void on_guest_exit(plugin_id id, void *data) {
  (void)id, (void)data;
  print_counts("{\"total\":", page->counts, NULL);
  print_counts(",\"startup\":", begun ? at_begin[0] : page->counts, NULL);
  qemu_plugin_outs(",\"inferences\":[");
  for (unsigned i = 0; i < ended; i++) print_counts(i ? "," : "", at_end[i], at_begin[i]);
  qemu_plugin_outs("]}\n");
}

/* The bits of the classes in "all" or "name+name"; 0 for an unknown name. */
static uint64_t class_bits(const char *names) {
  if (strcmp(names, "all") == 0) return (1u << CLASSES) - 1;
  uint64_t bits = 0;
  while (*names != '\0') {
    const size_t length = strcspn(names, "+");
    int found = 0;
    for (int i = 0; i < CLASSES; i++)
      if (strlen(class_names[i]) == length && strncmp(class_names[i], names, length) == 0) bits |= 1u << i, found = 1;
    if (!found) return 0;
    names += length + (names[length] == '+');
  }
  return bits;
}

/* Puts the counters into a file that the guest can map. */
static int share_page(const char *file) {
  const int fd = open(file, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, sizeof *page) != 0) return 0;
  void *mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return 0;
  page = mapped;
  return 1;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
  (void)info;
  const char *file = NULL, *tick = "all";
  for (int i = 0; i < argc; i++)
    if (strncmp(argv[i], "clock=", 6) == 0) file = argv[i] + 6;
    else if (strncmp(argv[i], "tick=", 5) == 0) tick = argv[i] + 5;
  if (file != NULL && !share_page(file)) return 1;
  page->tick_classes = class_bits(tick);
  if (page->tick_classes == 0) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, on_guest_exit, NULL);
  return 0;
}
