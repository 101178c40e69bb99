"""Posts, comments, likes, bookmarks, and the groups that posts may be for."""

from peewee import (
    BigAutoField,
    BigIntegerField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator

from models.store.database import NeverReusedIdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class User(Model):
        id = NeverReusedIdField()

        class Meta:
            database = db
            table_name = "users"

    class Group(Model):
        id = NeverReusedIdField()
        name = CharField(max_length=80)
        owner = ForeignKeyField(User, index=False)
        members_count = IntegerField()
        created_ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "community_groups"

    class GroupMember(Model):
        id = BigAutoField()
        group = ForeignKeyField(Group, index=False)
        user = ForeignKeyField(User, index=False)
        from_event = BigIntegerField()
        to_event = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "group_members"
            indexes = ((("user", "group"), False), (("group", "id"), False))

    class Post(Model):
        id = NeverReusedIdField()
        author = ForeignKeyField(User, index=False)
        group = ForeignKeyField(Group, index=False, null=True)
        body = TextField()
        likes_count = IntegerField()
        comments_count = IntegerField()
        created_ms = BigIntegerField()
        deleted_ms = BigIntegerField(null=True)
        event = BigIntegerField()

        class Meta:
            database = db
            table_name = "posts"
            indexes = ((("group", "id"), False),)

    class PostCopy(Model):
        post = ForeignKeyField(Post, index=False)
        event = BigIntegerField()

        class Meta:
            database = db
            table_name = "post_copies"
            primary_key = CompositeKey("post", "event")

    class Like(Model):
        post = ForeignKeyField(Post, index=False)
        user = ForeignKeyField(User, index=False)

        class Meta:
            database = db
            table_name = "likes"
            primary_key = CompositeKey("post", "user")

    class Bookmark(Model):
        user = ForeignKeyField(User, index=False)
        post = ForeignKeyField(Post, index=False)

        class Meta:
            database = db
            table_name = "bookmarks"
            primary_key = CompositeKey("user", "post")

    class Comment(Model):
        id = NeverReusedIdField()
        post = ForeignKeyField(Post, index=False)
        author = ForeignKeyField(User, index=False)
        body = TextField()
        reply_to = BigIntegerField(null=True)
        created_ms = BigIntegerField()
        deleted_ms = BigIntegerField(null=True)
        event = BigIntegerField()

        class Meta:
            database = db
            table_name = "comments"
            indexes = ((("post", "id"), False),)

    db.create_tables([Group, GroupMember, Post, PostCopy, Like, Bookmark, Comment])
    db.execute_sql("CREATE UNIQUE INDEX group_member_open ON group_members (group_id, user_id) WHERE to_event IS NULL")
