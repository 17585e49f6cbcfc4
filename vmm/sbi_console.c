/* The console of SBI calls where there is a virtual board: its UART's line. Type 0 has its own. */
#include "vmm/board.h"
#include "vmm/sbi_impl.h"

size_t sbi_console_write(struct vm *vm, const void *bytes, size_t len)
{
    struct board *board = vm->board;
    struct stream_backend *backend = board != NULL ? board->backends.uart : NULL;
    if (backend == NULL)
        return len;
    return backend->ops->write(backend, bytes, len);
}

size_t sbi_console_read(struct vm *vm, void *bytes, size_t len)
{
    struct board *board = vm->board;
    return board != NULL ? ns16550a_take(&board->uart, bytes, len) : 0;
}
