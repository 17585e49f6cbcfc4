/* NS16550A as its drivers meet it. Register and bit values are those of the PC16550D data sheet. */
#include "tests/unit/device_test.h"

#include "devices/ns16550a.h"

enum {
    RBR = 0,
    THR = 0,
    DLL = 0,
    IER = 1,
    DLM = 1,
    IIR = 2,
    FCR = 2,
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCR = 7
};

static struct ns16550a uart;
static struct wire wire;
static char sent[256];
static size_t sent_len;
static unsigned resumes;

static size_t sink_write(struct stream_backend *backend, const void *bytes, size_t len)
{
    (void)backend;
    assert_true(sent_len + len < sizeof sent);
    memcpy(sent + sent_len, bytes, len);
    sent_len += len;
    return len;
}

static void sink_resume(struct stream_backend *backend)
{
    (void)backend;
    resumes++;
}

static const struct stream_ops sink_ops = {.write = sink_write, .resume = sink_resume};
static struct stream_backend backend;

static int setup(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof wire);
    memset(sent, 0, sizeof sent);
    sent_len = 0;
    resumes = 0;
    backend = (struct stream_backend){.ops = &sink_ops};
    ns16550a_init(&uart, &backend, wire_irq(&wire, 0));
    return 0;
}

static uint8_t rd(uint64_t offset)
{
    return (uint8_t)read_reg(&ns16550a_bus_ops, &uart, offset, 1);
}

static void wr(uint64_t offset, uint8_t value)
{
    write_reg(&ns16550a_bus_ops, &uart, offset, 1, value);
}

static size_t input(const char *bytes, size_t len)
{
    return backend.receive(backend.device, bytes, len);
}

static void bytes_written_to_thr_go_to_the_backend(void **state)
{
    (void)state;
    assert_int_equal(rd(LSR), 0x60);
    wr(THR, 'h');
    wr(THR, 'i');
    assert_string_equal(sent, "hi");
    assert_int_equal(rd(LSR), 0x60);
}

static void divisor_latch_hides_thr_and_ier(void **state)
{
    (void)state;
    wr(LCR, 0x83);
    wr(DLL, 0x34);
    wr(DLM, 0x12);
    assert_int_equal(rd(DLL), 0x34);
    assert_int_equal(rd(DLM), 0x12);
    wr(LCR, 0x03);
    assert_int_equal(sent_len, 0);
    assert_int_equal(rd(IER), 0);
    wr(IER, 0xff);
    assert_int_equal(rd(IER), 0x0f);
    wr(SCR, 0xa5);
    assert_int_equal(rd(SCR), 0xa5);
}

static void received_data_interrupts_below_the_trigger_as_timeout(void **state)
{
    (void)state;
    wr(FCR, 0x81); /* FIFO on, trigger at 8 */
    wr(IER, 0x01);
    assert_int_equal(rd(IIR), 0xc1);
    assert_int_equal(input("abc", 3), 3);
    assert_true(wire.level);
    assert_int_equal(rd(IIR), 0xcc);
    assert_int_equal(rd(LSR) & 1, 1);
    assert_int_equal(rd(RBR), 'a');
    assert_int_equal(rd(RBR), 'b');
    assert_true(wire.level);
    assert_int_equal(rd(RBR), 'c');
    assert_false(wire.level);
    assert_int_equal(rd(LSR) & 1, 0);
    assert_int_equal(input("12345678", 8), 8);
    assert_int_equal(rd(IIR), 0xc4);
}

static void without_fifo_one_byte_waits_and_the_backend_keeps_the_rest(void **state)
{
    (void)state;
    assert_int_equal(input("xyz", 3), 1);
    assert_int_equal(rd(IIR) & 0xc0, 0);
    assert_int_equal(resumes, 0);
    assert_int_equal(rd(RBR), 'x');
    assert_int_equal(resumes, 1);
    assert_int_equal(input("yz", 2), 1);
    assert_int_equal(rd(RBR), 'y');
    assert_int_equal(resumes, 2);
}

static void full_fifo_pushes_back_and_asks_for_more_once(void **state)
{
    (void)state;
    char bytes[100];
    memset(bytes, 'q', sizeof bytes);
    wr(FCR, 0x01);
    size_t taken = input(bytes, sizeof bytes);
    assert_int_equal(taken, NS16550A_RX_DEPTH);
    assert_int_equal(rd(LSR) & 0x02, 0); /* no overrun: the line has flow control */
    for (size_t i = 0; i < taken; i++)
        assert_int_equal(rd(RBR), 'q');
    assert_int_equal(resumes, 1);
    assert_int_equal(rd(RBR), 0);
}

static void thr_interrupt_is_cleared_by_reading_iir(void **state)
{
    (void)state;
    wr(FCR, 0x01);
    wr(IER, 0x02);
    assert_true(wire.level); /* THR was empty when it was enabled */
    assert_int_equal(rd(IIR), 0xc2);
    assert_false(wire.level);
    assert_int_equal(rd(IIR), 0xc1);
    wr(THR, 'a');
    assert_true(wire.level);
    assert_int_equal(rd(IIR), 0xc2);
    /* Linux' test for UART_BUG_THRE: enabling again raises it again. */
    wr(IER, 0x00);
    wr(IER, 0x02);
    assert_int_equal(rd(IIR), 0xc2);
}

static void iir_reports_the_highest_priority_first(void **state)
{
    (void)state;
    wr(FCR, 0x01);
    wr(MCR, 0x10); /* loopback: modem lines change, bytes come back */
    wr(IER, 0x0f);
    wr(THR, 'a');
    ns16550a_break(&uart);
    rd(RBR); /* now the break is at the head */
    assert_int_equal(rd(IIR), 0xc6);
    assert_int_equal(rd(LSR) & 0x10, 0x10);
    assert_int_equal(rd(IIR), 0xc4);
    rd(RBR);
    assert_int_equal(rd(IIR), 0xc2);
    assert_int_equal(rd(IIR), 0xc0);
    rd(MSR);
    assert_int_equal(rd(IIR), 0xc1);
}

static void loopback_returns_bytes_and_ties_modem_lines(void **state)
{
    (void)state;
    rd(MSR);
    assert_int_equal(rd(MSR), 0xb0); /* a peer that is always ready */
    wr(FCR, 0x01);
    wr(MCR, 0x1f);
    assert_int_equal(rd(MSR) & 0xf0, 0xf0);
    wr(MCR, 0x1a); /* RTS, OUT2: CTS, DCD. RI and DSR fall: deltas */
    assert_int_equal(rd(MSR), 0x90 | 0x04 | 0x02);
    wr(MCR, 0x1e); /* OUT1 rises: TERI is for the trailing edge only */
    assert_int_equal(rd(MSR), 0xd0);
    wr(THR, 'z');
    assert_int_equal(sent_len, 0);
    assert_int_equal(rd(RBR), 'z');
    assert_int_equal(input("abc", 3), 0); /* the line is cut off */
    wr(MCR, 0x0b);
    assert_int_equal(resumes, 1);
    assert_int_equal(input("abc", 3), 3);
}

static void loopback_overruns_a_full_fifo(void **state)
{
    (void)state;
    wr(MCR, 0x10);
    wr(THR, 'a');
    assert_int_equal(rd(LSR), 0x61);
    wr(THR, 'b');
    assert_int_equal(rd(LSR), 0x63);
    assert_int_equal(rd(LSR), 0x61); /* reading clears it */
    assert_int_equal(rd(RBR), 'a');
    assert_int_equal(rd(LSR), 0x60);
}

static void break_is_reported_when_its_byte_is_at_the_head(void **state)
{
    (void)state;
    wr(FCR, 0x01);
    wr(IER, 0x04);
    input("a", 1);
    ns16550a_break(&uart);
    assert_int_equal(rd(LSR), 0x61);
    assert_false(wire.level);
    assert_int_equal(rd(RBR), 'a');
    assert_true(wire.level);
    assert_int_equal(rd(LSR), 0xf1);
    assert_int_equal(rd(LSR), 0x61);
    assert_int_equal(rd(RBR), 0);
    assert_int_equal(rd(LSR), 0x60);
}

static void fcr_clears_the_receive_fifo(void **state)
{
    (void)state;
    wr(FCR, 0x01);
    wr(IER, 0x01);
    input("abc", 3);
    wr(FCR, 0x03);
    assert_false(wire.level);
    assert_int_equal(rd(LSR), 0x60);
    input("abc", 3);
    wr(FCR, 0x00); /* so does switching it off */
    assert_int_equal(rd(LSR), 0x60);
    assert_int_equal(rd(IIR) & 0xc0, 0);
}

static void take_reads_past_the_registers(void **state)
{
    (void)state;
    uint8_t bytes[8] = {0};
    wr(FCR, 0x01);
    wr(IER, 0x01);
    input("hello", 5);
    assert_int_equal(ns16550a_take(&uart, bytes, 3), 3);
    assert_memory_equal(bytes, "hel", 3);
    assert_int_equal(ns16550a_take(&uart, bytes, 8), 2);
    assert_false(wire.level);
    assert_int_equal(ns16550a_take(&uart, bytes, 8), 0);
}

static void wider_accesses_reach_the_register_at_their_address(void **state)
{
    (void)state;
    write_reg(&ns16550a_bus_ops, &uart, SCR - 3, 4, 0x1f); /* MCR */
    assert_int_equal(rd(MCR), 0x1f);
    assert_int_equal(read_reg(&ns16550a_bus_ops, &uart, MCR, 4), 0x1f);
    assert_int_equal(rd(0x20), 0);
}

static void without_a_backend_bytes_go_nowhere(void **state)
{
    (void)state;
    ns16550a_init(&uart, NULL, wire_irq(&wire, 0));
    wr(THR, 'a');
    assert_int_equal(rd(LSR), 0x60);
    assert_int_equal(rd(RBR), 0);
}

static void state_survives_save_and_load(void **state)
{
    (void)state;
    static struct save_file file;
    wr(FCR, 0x81);
    wr(IER, 0x05);
    wr(LCR, 0x03);
    wr(SCR, 0x77);
    input("ab", 2);
    ns16550a_break(&uart);
    ns16550a_state(&uart, save_open(&file, false));

    setup(NULL);
    ns16550a_state(&uart, save_open(&file, true));
    assert_int_equal(file.state.error, 0);
    assert_true(wire.level);
    assert_int_equal(rd(LCR), 0x03);
    assert_int_equal(rd(SCR), 0x77);
    assert_int_equal(rd(IIR), 0xcc);
    assert_int_equal(rd(RBR), 'a');
    assert_int_equal(rd(RBR), 'b');
    assert_int_equal(rd(LSR), 0xf1);
}

static void loading_refuses_a_ring_that_cannot_be(void **state)
{
    (void)state;
    static struct save_file file;
    uart.count = NS16550A_RX_DEPTH + 1;
    ns16550a_state(&uart, save_open(&file, false));
    setup(NULL);
    ns16550a_state(&uart, save_open(&file, true));
    assert_int_not_equal(file.state.error, 0);
    assert_int_equal(rd(RBR), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_written_to_thr_go_to_the_backend),
        TEST(divisor_latch_hides_thr_and_ier),
        TEST(received_data_interrupts_below_the_trigger_as_timeout),
        TEST(without_fifo_one_byte_waits_and_the_backend_keeps_the_rest),
        TEST(full_fifo_pushes_back_and_asks_for_more_once),
        TEST(thr_interrupt_is_cleared_by_reading_iir),
        TEST(iir_reports_the_highest_priority_first),
        TEST(loopback_returns_bytes_and_ties_modem_lines),
        TEST(loopback_overruns_a_full_fifo),
        TEST(break_is_reported_when_its_byte_is_at_the_head),
        TEST(fcr_clears_the_receive_fifo),
        TEST(take_reads_past_the_registers),
        TEST(wider_accesses_reach_the_register_at_their_address),
        TEST(without_a_backend_bytes_go_nowhere),
        TEST(state_survives_save_and_load),
        TEST(loading_refuses_a_ring_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
