/* What a session knows of the server's volumes: replaced, gone, back, and lists that change meanwhile. */
#include "session_parts.h"
#include "session.h"

static void content_replaced(void **state)
{
	struct mpio *old = client_volume();
	struct io *w = write_block(0, 'W'), *read = io_start(WIRE_READ, 0, BLOCK, 0);

	(void)state;
	io_expect(a, w);
	io_expect(a, read);
	script_close(b);
	script_close(a);
	script_restarted(&server);
	server.volume.generation++;
	a = script_accept(&server, 0);
	script_welcome(a);
	script_auth(a);
	script_grant(a, S2, 1);
	script_reply(a, script_expect(a, WIRE_OPEN), WIRE_E_GENERATION, NULL, 0);
	assert_int_equal(io_wait(w), -ESTALE);
	assert_int_equal(io_wait(read), -ESTALE);
	assert_int_equal(client_state(), MPIO_STALE);
	assert_int_equal(io_wait(write_block(1, 'x')), -ESTALE);
	/* The new content is another volume; nothing of the old one's comes to it. */
	script_list(a);
	client_new_volume(old);
	script_open(a);
	io_barrier(a);
}

static void volume_gone(void **state)
{
	struct io *w = write_block(0, 'W');

	(void)state;
	io_expect(a, w);
	script_close(b);
	script_close(a);
	script_restarted(&server);
	strcpy(server.volume.name, "other");
	a = script_accept(&server, 0);
	script_welcome(a);
	script_auth(a);
	script_grant(a, S2, 1);
	script_reply(a, script_expect(a, WIRE_OPEN), WIRE_E_NO_VOLUME, NULL, 0);
	assert_true(io_wait(w) < 0);
}

static void becomes_gone(bool gone)
{
	for (int i = 0; (client_state() == MPIO_GONE) != gone; i++) {
		assert_true(i < 1000);
		usleep(10000);
	}
}

/* It is offered again, as the same: what the server opened before stands for what went. */
static void volume_comes_back(void **state)
{
	struct io *w;

	(void)state;
	script_event(a, WIRE_EVENT_VOLUME_REMOVED);
	becomes_gone(true);
	assert_int_equal(script_expect(a, WIRE_CLOSE)->h.handle, 1);
	script_event(a, WIRE_EVENT_VOLUME_ADDED);
	becomes_gone(false);
	w = write_block(0, 'W');
	script_open(a);
	carry_out(a, w);
}

/* The server withdrew it and offers it again, and with no path no event of that came. */
static void volume_comes_back_unseen(void **state)
{
	struct io *w;

	(void)state;
	script_close(b);
	script_close(a);
	w = write_block(0, 'W');
	a = script_login(&server, 0, S1, 3);
	script_open(a);
	carry_out(a, w);
}

/* It is another one now: the write goes nowhere. */
static void another_volume_comes_back(void **state)
{
	struct io *w;

	(void)state;
	script_close(b);
	script_close(a);
	w = write_block(0, 'W');
	a = script_login(&server, 0, S1, 3);
	script_reply(a, script_expect(a, WIRE_OPEN), WIRE_E_IDENTITY, NULL, 0);
	assert_int_equal(io_wait(w), -ESTALE);
	assert_int_equal(client_state(), MPIO_STALE);
}

/* It is being changed, or something of ours has that number there: either way the number is given back, or
 * whoever tries for long has none left. */
static void busy_volume_keeps_no_handle(void **state)
{
	uint32_t handle;
	struct request *r;
	struct io *w;

	(void)state;
	script_close(b);
	script_close(a);
	w = write_block(0, 'W');
	a = script_login(&server, 0, S1, 3);
	r = script_expect(a, WIRE_OPEN);
	handle = r->h.handle;
	script_reply(a, r, WIRE_E_BUSY, NULL, 0);
	assert_int_equal(io_wait(w), -EBUSY);
	r = script_expect(a, WIRE_CLOSE);
	assert_int_equal(r->h.handle, handle);
	script_reply(a, r, WIRE_E_HANDLE, NULL, 0);
	w = write_block(0, 'W');
	script_open(a);
	carry_out(a, w);
}

/* Numbers go round: one that is still in use is left out. */
static void handles_go_round(void **state)
{
	struct session *s = calloc(1, sizeof *s);

	(void)state;
	assert_int_equal(session_new_handle(s), 1);
	for (uint32_t i = 2; i <= WIRE_HANDLE_MAX; i++) {
		assert_int_equal(session_new_handle(s), i);
		session_free_handle(s, i);
	}
	assert_int_equal(session_new_handle(s), 2);
	free(s);
}

/* Lists. */

static struct mpio *volume;
static uint64_t volume_size;

static void look_at_size(void *arg)
{
	(void)arg;
	volume_size = mpio_info(volume)->size;
}

static void becomes(uint64_t size)
{
	for (int i = 0; volume_size != size; i++) {
		assert_true(i < 1000);
		usleep(10000);
		client_call(look_at_size, NULL);
	}
}

/* A LIST is under way over a. */
static struct request *list_again(void)
{
	volume = client_volume();
	server.own_lists = true;
	script_close(b);
	b = script_login(&server, 1, S1, 3);
	return script_expect(a, WIRE_LIST);
}

/* The event goes over b, and is there before the answer that is older than it. */
static void event_overtakes_a_list(void **state)
{
	struct request *r = list_again();
	uint64_t old = server.volume.size;

	(void)state;
	server.volume.size = 2 * old;
	script_event(b, WIRE_EVENT_VOLUME_RESIZED);
	becomes(2 * old);
	server.volume.size = old;
	script_answer_list(a, r);
	server.volume.size = 2 * old;
	script_answer_list(a, script_expect(a, WIRE_LIST));
	io_barrier(a);
	client_call(look_at_size, NULL);
	assert_int_equal(volume_size, 2 * old);
}

static void answer_page(const struct request *r, const char *name, uint32_t total)
{
	struct wire_volume v = server.volume;
	struct wire_writer w;
	uint8_t body[512];

	strcpy(v.name, name);
	v.uuid[0] ^= 1;
	wire_writer_init(&w, body, sizeof body);
	wire_put_volume(&w, &v);
	wire_put_u32(&w, WIRE_TAG_TOTAL, total);
	script_reply(a, r, WIRE_OK, body, (uint32_t)wire_writer_used(&w, body));
}

/* Between two pages one of the first goes: ours moves from the second to the first, and
 * is on neither. */
static void list_changes_between_pages(void **state)
{
	struct request *r = list_again();

	(void)state;
	answer_page(r, "one", 3);
	answer_page(script_expect(a, WIRE_LIST), "two", 2);
	r = script_expect(a, WIRE_LIST);
	assert_int_equal(r->h.offset, 0);
	script_answer_list(a, r);
	io_barrier(a);
	assert_int_equal(client_state(), MPIO_READY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(content_replaced),
		TEST(volume_gone),
		TEST(volume_comes_back),
		TEST(volume_comes_back_unseen),
		TEST(another_volume_comes_back),
		TEST(busy_volume_keeps_no_handle),
		cmocka_unit_test(handles_go_round),
		TEST(event_overtakes_a_list),
		TEST(list_changes_between_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
