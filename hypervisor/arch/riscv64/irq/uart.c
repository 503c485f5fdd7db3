/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ns16550a UART, polled for output, by interrupt for input. Before it is known: the SBI's legacy console.
 */
#include <arch.h>

#define UART_RBR 0
#define UART_THR 0
#define UART_IER 1
#define UART_FCR 2
#define UART_LSR 5
#define IER_RX 1
#define LSR_DR 1
#define LSR_THRE 0x20

static volatile u8 *uart;
static unsigned int shift, width;

static u8 uart_read(unsigned int reg)
{
	volatile void *p = uart + (reg << shift);

	return width == 4 ? *(volatile u32 *)p : *(volatile u8 *)p;
}

static void uart_write(unsigned int reg, u8 v)
{
	volatile void *p = uart + (reg << shift);

	if (width == 4)
		*(volatile u32 *)p = v;
	else
		*(volatile u8 *)p = v;
}

void uart_init(paddr_t base, unsigned int reg_shift, unsigned int io_width)
{
	uart = pa_to_va(base);
	shift = reg_shift;
	width = io_width;
	uart_write(UART_IER, 0);
	uart_write(UART_FCR, 1);
}

void uart_enable_rx(void)
{
	arch_pirq_enable(boot.uart_irq);
	arch_console_rx(true);
}

void arch_console_rx(bool on)
{
	uart_write(UART_IER, on ? IER_RX : 0);
}

void arch_console_write(const char *s, size_t n)
{
	for (; n; n--, s++) {
		if (!uart) {
			sbi_putchar_early(*s);
			continue;
		}
		while (!(uart_read(UART_LSR) & LSR_THRE))
			;
		uart_write(UART_THR, *s);
	}
}

int arch_console_getc(void)
{
	if (!uart || !(uart_read(UART_LSR) & LSR_DR))
		return -1;
	return uart_read(UART_RBR);
}
