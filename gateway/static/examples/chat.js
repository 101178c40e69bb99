// A whole chat: sign in, choose a conversation, read, write. Whatever happens to the network, nothing is lost or doubled.
import { Bellwire } from "/static/client.js";

const bell = new Bellwire();
const find = (id) => document.getElementById(id);
const people = new Map(); // id -> name
const [login, chat, choice, messages, send, problem] = ["login", "chat", "with", "messages", "send", "problem"].map(find);

login.onsubmit = (event) => {
  event.preventDefault();
  trying(async () => {
    await bell.login(Object.fromEntries(new FormData(login)));
    login.hidden = true;
    chat.hidden = false;
    for await (const event of bell.events({ types: ["message.created", "conversation.created"] })) take(event);
  });
};

send.onsubmit = (event) => {
  event.preventDefault();
  const body = send.body.value;
  send.reset();
  trying(() => bell.send({ conversation: Number(choice.value), body }));
};

choice.onchange = () => trying(history);

function take({ type, data }) {
  if (type === "state") {
    choice.replaceChildren();
    data.conversations.forEach(offer);
    trying(history);
  } else if (type === "conversation.created") offer(data);
  else if (data.conversation === Number(choice.value)) show(data);
}

function offer(conversation) {
  for (const { user } of conversation.members) people.set(user.id, user.display_name);
  const others = conversation.members.filter(({ user }) => user.id !== bell.user.id).map(({ user }) => user.display_name);
  choice.append(new Option(conversation.title ?? others.join(", "), conversation.id));
}

async function history() {
  messages.replaceChildren();
  if (!choice.value) return;
  const { items } = await bell.call("GET", `/conversations/${choice.value}/messages`);
  items.reverse().forEach(show);
}

function show({ id, sender, body }) {
  if (find(`message-${id}`)) return; // it came while the history was loaded
  const line = document.createElement("li");
  line.id = `message-${id}`;
  line.textContent = `${people.get(sender) ?? "Somebody"}: ${body}`; // as text: whatever people write is never markup
  messages.append(line);
  messages.scrollTop = messages.scrollHeight;
}

async function trying(run) {
  problem.textContent = "";
  await run().catch((error) => (problem.textContent = error.message));
}
