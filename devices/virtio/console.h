/*
 * Virtio console (Virtual I/O Device 1.2, section 5.3): a single port in front of a stream backend.
 */
#ifndef DEVICES_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_CONSOLE_H

#include "devices/backend.h"
#include "devices/virtio/virtio.h"

/* Configuration space, 5.3.4. */
struct virtio_console_config {
    uint16_t cols;
    uint16_t rows;
    uint32_t max_nr_ports;
    uint32_t emerg_wr;
};

struct virtio_console {
    struct virtio_device virtio;
    struct stream_backend *backend;
    struct virtio_console_config config;
    bool tx_busy;          /* a thread is writing; it will see what is added meanwhile */
    bool rx_waiting;       /* input was refused: tell the backend when there are buffers */
    struct virtq_chain tx; /* of the thread that set tx_busy */
    struct virtq_chain rx; /* under the lock */
};

/* Fills backend->receive and backend->device. 80 columns, 24 rows until told otherwise. */
void virtio_console_init(struct virtio_console *console, struct memory *mem,
                         struct stream_backend *backend);
/* The terminal has a new size. Any thread. */
void virtio_console_resize(struct virtio_console *console, uint16_t cols, uint16_t rows);

#endif
