/*
 * What people write: fleet.yaml, and the short forms of the command line.
 *
 * Both end in the structs of core/spec.h. A mistake is answered by one line that names file, line
 * and key, and says what to write instead:
 *
 *     fleet.yaml:7: vms[1].memory: '12X' is not a size; write 512M or 2G
 */
#ifndef TYPE2_CONFIG_H
#define TYPE2_CONFIG_H

#include "core/spec.h"
#include "riscv/insn.h"
#include "type2/problem.h"

struct config;

/*
 * Reads and checks a description. Relative paths in it are relative to its own folder, and come out
 * joined with it. Kernel, initrd, firmware and disks must be there, and engines in this build.
 * `bare_metal`: for a bundle, where each VM has a copy of its disks of its own. A negative error
 * with `problem` filled, and *config NULL.
 */
int config_read(struct config **config, const char *path, bool bare_metal, struct problem *problem);
/*
 * The same from memory, without a look at the files it names: `name` stands for the file in
 * messages, `folder` ("" or ".": the current one) is what paths are relative to.
 */
int config_read_bytes(struct config **config, const char *name, const char *folder,
                      const void *bytes, size_t size, struct problem *problem);
/* Lives as long as `config`. */
const struct spec_fleet *config_fleet(const struct config *config);
void config_free(struct config *config);

/*
 * The short forms. 0, or -E_INVAL with a `problem` that quotes the text and says what to write.
 * config_parse_disk and config_parse_net cut `text` into pieces in place; strings of the result
 * point into it.
 */

/* "512M", "2G", "1048576K", "1T" (powers of 1024, small letters too) or plain bytes. */
int config_parse_size(const char *text, uint64_t *bytes, struct problem *problem);
/* "1" to "64". */
int config_parse_cpus(const char *text, unsigned *cpus, struct problem *problem);
/* "128", "256" or "512". */
int config_parse_vlen(const char *text, unsigned *vlen, struct problem *problem);
/* What the harts of `vm` can do; "cpu: ..." or "vlen: ..." if there is no such model. */
int config_isa(const struct spec_vm *vm, struct riscv_isa *isa, struct problem *problem);
/* "data.raw[,readonly][,serial=abc]" */
int config_parse_disk(char *text, struct spec_disk *disk, struct problem *problem);
/* "user[,forward=tcp:127.0.0.1:2222:22]...[,mac=..]", "tap,ifname=tap0[,mac=52:54:00:12:34:56]" */
int config_parse_net(char *text, struct spec_net *net, struct problem *problem);
/* "tcp:127.0.0.1:8080:80": protocol, host address (may be left out: 127.0.0.1), host port, guest
 * port. */
int config_parse_forward(const char *text, struct spec_forward *forward, struct problem *problem);
/* "52:54:00:12:34:56" */
int config_parse_mac(const char *text, uint8_t mac[6], struct problem *problem);

#endif
