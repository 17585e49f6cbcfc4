#include "devices/virtio/console.h"

#include "core/error.h"

#define CONSOLE_F_SIZE (1ULL << 0) /* 5.3.3 */

/* Of one chain; what a guest sends beyond it in one piece is dropped, so that a write stays short.
 */
#define WRITE_MAX (1U << 20)

enum { CONSOLE_RX = 0, CONSOLE_TX = 1 };

static struct virtio_console *console_of(struct virtio_device *device)
{
    return (struct virtio_console *)(void *)device;
}

/* Without the lock; tx_busy keeps the chain ours. */
static void console_write(struct virtio_console *console)
{
    const struct virtq_chain *chain = &console->tx;
    size_t room = WRITE_MAX;

    for (unsigned i = 0; i < chain->readable_count && room > 0; i++) {
        size_t len = chain->buffers[i].len < room ? chain->buffers[i].len : room;
        const uint8_t *bytes = chain->buffers[i].base;

        for (size_t taken = 1; len > 0 && taken > 0; len -= taken, bytes += taken, room -= taken) {
            taken = console->backend->ops->write(console->backend, bytes, len);
            host_breathe();
        }
    }
}

static void console_transmit(struct virtio_console *console)
{
    struct virtio_device *device = &console->virtio;
    bool sent = false;

    virtio_lock(device);
    /* The thread that writes looks at the queue once more, under the lock, before it leaves. */
    if (console->tx_busy) {
        virtio_unlock(device);
        return;
    }
    console->tx_busy = true;
    while (virtio_pop(device, CONSOLE_TX, &console->tx) != 0) {
        virtio_unlock(device);
        console_write(console);
        host_breathe();
        virtio_lock(device);
        virtio_push(device, CONSOLE_TX, &console->tx, 0);
        sent = true;
    }
    console->tx_busy = false;
    if (sent)
        virtio_signal(device, CONSOLE_TX);
    virtio_unlock(device);
}

static void console_notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_console *console = console_of(device);
    bool resume;

    if (queue == CONSOLE_TX) {
        console_transmit(console);
        return;
    }
    virtio_lock(device);
    resume = console->rx_waiting && virtio_live(device);
    if (resume)
        console->rx_waiting = false;
    virtio_unlock(device);
    if (resume && console->backend->ops->resume != NULL)
        console->backend->ops->resume(console->backend);
}

/* From the backend's thread. */
static size_t console_receive(void *opaque, const void *bytes, size_t len)
{
    struct virtio_console *console = opaque;
    struct virtio_device *device = &console->virtio;
    size_t taken = 0;

    virtio_lock(device);
    while (taken < len && virtio_pop(device, CONSOLE_RX, &console->rx) != 0) {
        size_t piece = virtq_chain_write(&console->rx, device->mem, 0,
                                         (const uint8_t *)bytes + taken, len - taken);
        if (piece == 0) {
            virtio_needs_reset(device);
            break;
        }
        taken += piece;
        virtio_push(device, CONSOLE_RX, &console->rx, (uint32_t)piece);
    }
    if (taken < len)
        console->rx_waiting = true;
    if (taken > 0)
        virtio_signal(device, CONSOLE_RX);
    virtio_unlock(device);
    return taken;
}

static const struct virtio_ops console_ops = {
    .notify = console_notify,
};

void virtio_console_init(struct virtio_console *console, struct memory *mem,
                         struct stream_backend *backend)
{
    console->backend = backend;
    console->config = (struct virtio_console_config){.cols = 80, .rows = 24, .max_nr_ports = 1};
    console->tx_busy = false;
    console->rx_waiting = false;
    virtio_init(&console->virtio, &console_ops, VIRTIO_ID_CONSOLE, mem, CONSOLE_F_SIZE, 2,
                &console->config, sizeof(console->config));
    backend->device = console;
    backend->receive = console_receive;
}

void virtio_console_resize(struct virtio_console *console, uint16_t cols, uint16_t rows)
{
    virtio_lock(&console->virtio);
    if (console->config.cols != cols || console->config.rows != rows) {
        console->config.cols = cols;
        console->config.rows = rows;
        virtio_config_changed(&console->virtio);
    }
    virtio_unlock(&console->virtio);
}
