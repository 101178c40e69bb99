// A whole chat: sign in, begin or choose a conversation, read and write. The session is a cookie, so a reload goes on.
// The client repeats what fails, so nothing is lost or doubled.
import { Bellwire } from "/static/client.js";

const bell = new Bellwire();
const byId = (id) => document.getElementById(id);
const names = new Map(); // user id -> name
const ids = ["login", "chat", "begin", "logout", "conversation", "messages", "send", "problem"];
const [login, chat, begin, logout, conversationSelect, messages, send, problem] = ids.map(byId);
const TYPES = ["message.created", "conversation.created", "member.joined"];

showErrors(read);

async function read() {
  try {
    for await (const event of bell.events({ types: TYPES })) apply(event);
  } catch (error) {
    if (error.status !== 401) throw error;
    show(login); // nobody is signed in, or the session has ended
  }
}

login.onsubmit = (event) => {
  event.preventDefault();
  showErrors(async () => {
    await bell.login(Object.fromEntries(new FormData(login)));
    login.reset();
    await read();
  });
};

logout.onclick = () => showErrors(() => bell.logout()); // which ends the reading

begin.onsubmit = (event) => {
  event.preventDefault();
  const name = begin.username.value.trim().replace(/^@/, "").toLowerCase();
  showErrors(async () => {
    const { items } = await bell.call("GET", "/users", null, { query: { q: name } });
    const user = items.find(({ username }) => username.toLowerCase() === name);
    if (!user) throw new Error(`Nobody is called ${name}.`);
    const conversation = await bell.call("POST", "/conversations", { members: [user.id] });
    begin.reset();
    addConversation(conversation);
    conversationSelect.value = conversation.id;
    await loadHistory();
  });
};

send.onsubmit = (event) => {
  event.preventDefault();
  const body = send.body.value;
  send.reset();
  showErrors(() => bell.send({ conversation: Number(conversationSelect.value), body }));
};

conversationSelect.onchange = () => showErrors(loadHistory);

function show(part) {
  for (const each of [login, chat]) each.hidden = each !== part;
}

function apply({ type, data }) {
  if (type === "state") {
    show(chat);
    const chosen = conversationSelect.value;
    conversationSelect.replaceChildren();
    data.conversations.forEach(addConversation);
    if (data.conversations.some(({ id }) => id === Number(chosen))) conversationSelect.value = chosen;
    showErrors(loadHistory);
  } else if (type === "conversation.created") addConversation(data);
  else if (type === "member.joined") names.set(data.user.id, data.user.display_name);
  else if (data.conversation === Number(conversationSelect.value)) showMessage(data);
}

function addConversation(conversation) {
  for (const { user } of conversation.members) names.set(user.id, user.display_name);
  if ([...conversationSelect.options].some(({ value }) => Number(value) === conversation.id)) return;
  const others = conversation.members.filter(({ user }) => user.id !== bell.user.id);
  const title = conversation.title ?? others.map(({ user }) => user.display_name).join(", ");
  conversationSelect.append(new Option(title, conversation.id));
  send.hidden = false;
  if (conversationSelect.length === 1) showErrors(loadHistory);
}

async function loadHistory() {
  messages.replaceChildren();
  const id = conversationSelect.value;
  send.hidden = !id; // there is no conversation yet: begin one
  if (!id) return;
  const { items } = await bell.call("GET", `/conversations/${id}/messages`);
  if (id === conversationSelect.value) items.reverse().forEach(showMessage);
}

function showMessage({ id, sender, body }) {
  if (byId(`message-${id}`)) return; // it arrived while the history was being loaded
  const line = document.createElement("li");
  line.id = `message-${id}`;
  line.dataset.id = id;
  line.dir = "auto";
  line.textContent = `${names.get(sender) ?? "Somebody"}: ${body}`; // textContent: what users write is never markup
  const later = [...messages.children].find((other) => Number(other.dataset.id) > id);
  messages.insertBefore(line, later ?? null);
  messages.scrollTop = messages.scrollHeight;
}

async function showErrors(run) {
  problem.textContent = "";
  await run().catch((error) => (problem.textContent = error.message));
}
