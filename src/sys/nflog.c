/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nfnetlink_log. */
#include "sys/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "sys/netlink.h"

#define ULOG_TYPE(m) ((uint16_t)(NFNL_SUBSYS_ULOG << 8 | (m)))

enum { QUEUE_BYTES = 65536 };

int nflog_open(uint16_t group, uint32_t copy)
{
	OWNED(fd_drop) int fd = nl_socket(NETLINK_NETFILTER);
	char text[256];
	struct nl_buf b = { .p = text, .max = sizeof(text) };
	struct nfgenmsg g = { .nfgen_family = AF_UNSPEC,
			      .version = NFNETLINK_V0,
			      .res_id = htons(group) };
	struct nfulnl_msg_config_cmd cmd = { NFULNL_CFG_CMD_BIND };
	struct nfulnl_msg_config_mode mode = { .copy_range = htonl(copy),
					       .copy_mode =
						       NFULNL_COPY_PACKET };
	uint16_t numbered = htons(NFULNL_CFG_F_SEQ);
	int size = QUEUE_BYTES, r;

	if (fd < 0)
		return fd;
	nl_open(&b, ULOG_TYPE(NFULNL_MSG_CONFIG), 0, &g, sizeof(g));
	nl_put(&b, NFULA_CFG_CMD, &cmd, sizeof(cmd));
	nl_put(&b, NFULA_CFG_MODE, &mode, sizeof(mode));
	nl_put_be32(&b, NFULA_CFG_NLBUFSIZ, NFLOG_DATAGRAM_MAX);
	nl_put_be32(&b, NFULA_CFG_QTHRESH, 1);
	nl_put(&b, NFULA_CFG_FLAGS, &numbered, sizeof(numbered));
	nl_ask_ack(&b);
	r = nl_request(fd, &b);
	if (r)
		return r;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return fd_take(&fd);
}

bool nflog_next(struct slice *c, struct nflog_record *ret)
{
	struct nl_msg m;
	struct nl_attr a;

	while (nl_next_msg(c, &m)) {
		size_t head = sizeof(struct nfgenmsg);

		if (m.type != ULOG_TYPE(NFULNL_MSG_PACKET) || m.body.n < head)
			continue;
		m.body = (struct slice){ m.body.p + head, m.body.n - head };
		*ret = (struct nflog_record){ 0 };
		while (nl_next_attr(&m.body, &a)) {
			if (a.type == NFULA_PAYLOAD)
				ret->payload = a.body;
			if (a.type == NFULA_SEQ && a.body.n == 4) {
				memcpy(&ret->number, a.body.p, 4);
				ret->number = ntohl(ret->number);
			}
			if (a.type == NFULA_PREFIX)
				ret->prefix = (struct slice){
					a.body.p, strnlen(a.body.p, a.body.n)
				};
		}
		if (ret->payload.p)
			return true;
	}
	return false;
}
