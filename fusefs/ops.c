/* ops.c - the tree for FUSE: lookup, attributes, listings, open; data goes to io.c, changes
 * go to change.c.
 *
 * Everything here is answered at once from what the client knows: no request for
 * a name, an attribute or a listing ever waits for the network.  Nothing is cached
 * by the kernel (all timeouts are 0), since it may not be told when a volume comes,
 * goes or grows: that would need a notification, and a notification may wait for
 * requests that only this thread can answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include "attribute.h"
#include "change.h"
#include "opening.h"
#include "ops.h"
#include "reserve.h"
#include "text.h"

static struct client *client_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct node *node_of(fuse_req_t req, fuse_ino_t ino)
{
	return names_node(&client_of(req)->names, ino);
}

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	/* Splicing lost at every size that was measured.  With atomic O_TRUNC the kernel
	 * would take the size to be 0 after open.  One listing form is enough. */
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
				  FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS |
				  FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_HANDLE_KILLPRIV);
	conn->max_write = WIRE_DATA_MAX;
	conn->max_read = WIRE_DATA_MAX;
	/* The default of 12 would cap asynchronous I/O and attached devices. */
	conn->max_background = 128;
	conn->congestion_threshold = 96;
}

/* Names and attributes. */

static void make_entry(struct client *c, struct node *node, struct fuse_entry_param *entry)
{
	*entry = (struct fuse_entry_param){ .ino = names_nodeid(&c->names, node) };
	names_stat(node, &entry->attr);
	names_get(node);
}

void ops_reply_entry(fuse_req_t req, struct node *node)
{
	struct client *c = client_of(req);
	struct fuse_entry_param entry;

	make_entry(c, node, &entry);
	/* A waiter that was killed did not get it: the kernel will not forget it. */
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		names_forget(&c->names, node, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *node = names_find(&client_of(req)->names, node_of(req, parent), name);

	if (node)
		ops_reply_entry(req, node);
	else
		fuse_reply_err(req, ENOENT);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	names_forget(&client_of(req)->names, node_of(req, ino), count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		names_forget(&client_of(req)->names, node_of(req, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

void ops_reply_attr(fuse_req_t req, const struct node *node)
{
	struct stat st;

	names_stat(node, &st);
	fuse_reply_attr(req, &st, 0);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	ops_reply_attr(req, node_of(req, ino));
}

/* As on a block device a truncation to nothing changes nothing: it is what
 * open(O_TRUNC) arrives as, without a handle.  0; -EINPROGRESS: it is another size, a
 * matter of the server's; or an errno. */
static int set_size(const struct node *node, off_t size, bool by_handle)
{
	if (node->kind != NODE_VOLUME)
		return EPERM;
	if (node->read_only)
		return EROFS;
	return (size == 0 && !by_handle) || (uint64_t)size == node->size ? 0 : -EINPROGRESS;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *to, int set,
		       struct fuse_file_info *fi)
{
	struct node *node = node_of(req, ino);
	int error = set & FUSE_SET_ATTR_SIZE ? set_size(node, to->st_size, fi != NULL) : 0;

	if (!error && node->kind != NODE_VOLUME)
		error = EPERM;
	if (error == -EINPROGRESS) {	/* it comes alone, or with times */
		change_size(client_of(req), req, node, (uint64_t)to->st_size);
		return;
	}
	if (error) {
		fuse_reply_err(req, error);
		return;
	}
	/* Kept while the mount lives, as those of a device's node are. */
	if (set & FUSE_SET_ATTR_MODE)
		node->mode = S_IFREG | (to->st_mode & 0777);
	if (set & FUSE_SET_ATTR_UID)
		node->uid = to->st_uid;
	if (set & FUSE_SET_ATTR_GID)
		node->gid = to->st_gid;
	clock_gettime(CLOCK_REALTIME, &node->ctime);
	if (set & FUSE_SET_ATTR_ATIME)
		node->atime = set & FUSE_SET_ATTR_ATIME_NOW ? node->ctime : to->st_atim;
	if (set & FUSE_SET_ATTR_MTIME)
		node->mtime = set & FUSE_SET_ATTR_MTIME_NOW ? node->ctime : to->st_mtim;
	ops_reply_attr(req, node);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct names *n = &client_of(req)->names;
	struct statvfs st = {
		.f_bsize = 4096, .f_frsize = 4096, .f_blocks = n->bytes / 4096,
		.f_files = n->volumes, .f_namemax = CONF_NAME_MAX,
	};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

/* Listings: as they were when reading began. */

struct listing {
	size_t count;
	struct {
		uint64_t ino;
		mode_t mode;
		char name[CONF_NAME_MAX + 1];
	} entry[];
};

static void list_entry(struct listing *l, const struct node *node, const char *name)
{
	l->entry[l->count].ino = node->ino;
	l->entry[l->count].mode = node->mode;
	strcpy(l->entry[l->count++].name, name);
}

static struct listing *make_listing(const struct node *dir)
{
	struct listing *l;
	struct list *pos;
	size_t count = 2;

	list_each(pos, &dir->children)
		count++;
	l = malloc(sizeof *l + count * sizeof l->entry[0]);
	if (!l)
		return NULL;
	l->count = 0;
	list_entry(l, dir, ".");
	list_entry(l, dir->parent ? dir->parent : dir, "..");
	list_each(pos, &dir->children) {
		const struct node *node = container_of(pos, struct node, sibling);

		if (!node->hidden)
			list_entry(l, node, node->name);
	}
	return l;
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *dir = node_of(req, ino);
	struct listing *l = make_listing(dir);

	if (!l) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)l;
	names_opened(dir);
	if (fuse_reply_open(req, fi) == -ENOENT) {
		free(l);
		names_closed(&client_of(req)->names, dir);
	}
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	struct listing *l = (struct listing *)(uintptr_t)fi->fh;
	char buf[4096];
	size_t used = 0;

	(void)ino;
	if (size > sizeof buf)
		size = sizeof buf;
	for (size_t i = offset < 0 ? l->count : (size_t)offset; i < l->count; i++) {
		struct stat st = { .st_ino = l->entry[i].ino, .st_mode = l->entry[i].mode };
		size_t n = fuse_add_direntry(req, buf + used, size - used, l->entry[i].name, &st,
					     (off_t)i + 1);

		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	free((void *)(uintptr_t)fi->fh);
	names_closed(&client_of(req)->names, node_of(req, ino));
	fuse_reply_err(req, 0);
}

/* Open files. */

static void close_handle(struct client *c, struct handle *h)
{
	list_remove(&h->link);
	if (h->volume)
		mpio_put(h->volume);
	names_closed(&c->names, h->node);
	text_put(c, h->text);
	free(h);
}

/* By hand: this libfuse has no field for parallel writes. */
static int reply_open(fuse_req_t req, const struct handle *h)
{
	struct fuse_open_out out = {
		.fh = (uintptr_t)h,
		.open_flags = FOPEN_DIRECT_IO | (h->volume || h->planned ? FOPEN_PARALLEL_DIRECT_WRITES : 0),
	};

	return fuse_reply_buf(req, (const char *)&out, sizeof out);
}

static int open_node(struct client *c, struct handle *h, struct node *node, int flags)
{
	if ((flags & O_ACCMODE) != O_RDONLY && (node->kind != NODE_VOLUME || node->read_only))
		return node->kind == NODE_VOLUME ? EROFS : EACCES;
	if (node->kind == NODE_TEXT) {
		if (text_is_long(node))
			return 0;
		h->text = text_make(c, node);
		return h->text ? 0 : EIO;
	}
	if (!node->volume && !node->planned)
		return ENOENT;
	h->planned = node->planned;
	if (node->volume)
		h->volume = mpio_get(node->volume);
	h->ns = node->ns;
	h->writes = (flags & O_ACCMODE) != O_RDONLY;
	list_append(&c->opens, &h->link);
	return 0;
}

/* NULL: the request is answered. */
static struct handle *new_handle(fuse_req_t req, struct node *node, int flags)
{
	struct handle *h = calloc(1, sizeof *h);
	int error = h ? 0 : ENOMEM;

	if (!error) {
		list_init(&h->link);
		h->node = node;
		h->opener = fuse_req_ctx(req)->pid;
		error = open_node(client_of(req), h, node, flags);
	}
	if (!error) {
		names_opened(node);
		return h;
	}
	free(h);
	fuse_reply_err(req, error);
	return NULL;
}

static void answer_open(struct client *c, fuse_req_t req, struct handle *h, int error)
{
	/* A waiter that was killed has no file: nobody will release it. */
	if (error)
		fuse_reply_err(req, error);
	if (error || reply_open(req, h) == -ENOENT)
		close_handle(c, h);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h = new_handle(req, node_of(req, ino), fi->flags);

	if (h && h->node->kind == NODE_TEXT && !h->text)
		opening_wait(client_of(req), req, h, answer_open);
	else if (h)
		answer_open(client_of(req), req, h, 0);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_handle(client_of(req), handle_of(fi));
	fuse_reply_err(req, 0);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	(void)ino;
	if (!h->text) {
		io_read(&client_of(req)->io, req, h, size, offset);
		return;
	}
	if (offset < 0 || (uint64_t)offset >= h->text->length) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	if (size > h->text->length - (size_t)offset)
		size = h->text->length - (size_t)offset;
	fuse_reply_buf(req, h->text->data + offset, size);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	(void)ino;
	if (h->planned)
		change_refuse(client_of(req), req, ENOSPC, "%s cannot be written to: it has no size yet; truncate -s SIZE makes it a volume",
			      h->node->name);
	else
		io_write(&client_of(req)->io, req, h, data, size, offset, fi->flags);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	if (handle_of(fi)->text)
		fuse_reply_err(req, 0);
	else
		io_fsync(&client_of(req)->io, req, handle_of(fi));
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi)
{
	(void)ino;
	io_fallocate(&client_of(req)->io, req, handle_of(fi), mode, offset, length);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	(void)ino;
	if (handle_of(fi)->text)
		fuse_reply_err(req, EINVAL);
	else
		io_lseek(&client_of(req)->io, req, handle_of(fi), offset, whence);
}

/* Only what says its size in its number gets here with its argument. */
static void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		     struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
		     size_t out_size)
{
	struct node *node = node_of(req, ino);
	uint64_t size = node->size;

	(void)arg;
	if (!(flags & FUSE_IOCTL_DIR) && node->kind == NODE_VOLUME && handle_of(fi)->writes &&
	    reserve_ioctl(client_of(req), req, handle_of(fi)->volume, cmd, in, in_size))
		return;
	if (flags & FUSE_IOCTL_DIR || node->kind != NODE_VOLUME || cmd != BLKGETSIZE64 ||
	    out_size < sizeof size)
		fuse_reply_err(req, ENOTTY);
	else
		fuse_reply_ioctl(req, 0, &size, sizeof size);
}

/* What is in the tree is made by servers: change.c asks them. */

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct client *c = client_of(req);
	struct node *node;

	(void)rdev;
	if (!S_ISREG(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	node = change_plan(c, req, node_of(req, parent), name);
	if (node)
		ops_reply_entry(req, node);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct client *c = client_of(req);
	struct node *node = change_plan(c, req, node_of(req, parent), name);
	struct handle *h = node ? new_handle(req, node, fi->flags) : NULL;
	struct fuse_entry_param entry;

	(void)mode;
	if (!h)
		return;
	make_entry(c, node, &entry);
	fi->fh = (uintptr_t)h;
	fi->direct_io = 1;
	if (fuse_reply_create(req, &entry, fi) == -ENOENT) {
		close_handle(c, h);
		names_forget(&c->names, node, 1);
	}
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)mode;
	change_mkdir(client_of(req), req, node_of(req, parent), name);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	change_unlink(client_of(req), req, node_of(req, parent), name);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	change_rmdir(client_of(req), req, node_of(req, parent), name);
}

static void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	(void)link, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to,
		      const char *to_name, unsigned flags)
{
	change_rename(client_of(req), req, node_of(req, parent), name, node_of(req, to), to_name, flags);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	attribute_get(client_of(req), req, node_of(req, ino), name, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	attribute_list(client_of(req), req, node_of(req, ino), size);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	attribute_set(client_of(req), req, node_of(req, ino), name, value, size, flags);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	attribute_remove(client_of(req), req, node_of(req, ino), name);
}

static void op_copy(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_fi, fuse_ino_t to,
		    off_t offset, struct fuse_file_info *fi, size_t length, int flags)
{
	(void)from, (void)to;
	io_copy(&client_of(req)->io, req, handle_of(from_fi), from_offset, handle_of(fi), offset, length, flags);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup, .forget = op_forget, .forget_multi = op_forget_multi,
	.getattr = op_getattr, .setattr = op_setattr, .statfs = op_statfs,
	.opendir = op_opendir, .readdir = op_readdir, .releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.open = op_open, .release = op_release, .read = op_read, .write = op_write,
	.fsync = op_fsync, .fallocate = op_fallocate, .lseek = op_lseek, .ioctl = op_ioctl,
	.create = op_create, .mknod = op_mknod, .mkdir = op_mkdir, .symlink = op_symlink,
	.link = op_link, .rename = op_rename, .unlink = op_unlink, .rmdir = op_rmdir,
	.copy_file_range = op_copy, .getxattr = op_getxattr, .listxattr = op_listxattr, .setxattr = op_setxattr, .removexattr = op_removexattr,
};
