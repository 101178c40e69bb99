// A whole chat: sign in, choose a conversation, read and write. The client repeats what fails, so nothing is lost or
// doubled.
import { Bellwire } from "/static/client.js";

const bell = new Bellwire();
const byId = (id) => document.getElementById(id);
const names = new Map(); // user id -> name
const ids = ["login", "chat", "conversation", "messages", "send", "problem"];
const [login, chat, conversationSelect, messages, send, problem] = ids.map(byId);

login.onsubmit = (event) => {
  event.preventDefault();
  showErrors(async () => {
    await bell.login(Object.fromEntries(new FormData(login)));
    login.hidden = true;
    chat.hidden = false;
    for await (const event of bell.events({ types: ["message.created", "conversation.created"] }))
      apply(event);
  });
};

send.onsubmit = (event) => {
  event.preventDefault();
  const body = send.body.value;
  send.reset();
  showErrors(() => bell.send({ conversation: Number(conversationSelect.value), body }));
};

conversationSelect.onchange = () => showErrors(loadHistory);

function apply({ type, data }) {
  if (type === "state") {
    conversationSelect.replaceChildren();
    data.conversations.forEach(addConversation);
    showErrors(loadHistory);
  } else if (type === "conversation.created") addConversation(data);
  else if (data.conversation === Number(conversationSelect.value)) showMessage(data);
}

function addConversation(conversation) {
  for (const { user } of conversation.members) names.set(user.id, user.display_name);
  const others = conversation.members.filter(({ user }) => user.id !== bell.user.id);
  const title = conversation.title ?? others.map(({ user }) => user.display_name).join(", ");
  conversationSelect.append(new Option(title, conversation.id));
}

async function loadHistory() {
  messages.replaceChildren();
  if (!conversationSelect.value) return;
  const { items } = await bell.call("GET", `/conversations/${conversationSelect.value}/messages`);
  items.reverse().forEach(showMessage);
}

function showMessage({ id, sender, body }) {
  if (byId(`message-${id}`)) return; // it arrived while the history was being loaded
  const line = document.createElement("li");
  line.id = `message-${id}`;
  line.textContent = `${names.get(sender) ?? "Somebody"}: ${body}`; // textContent: what users write is never markup
  messages.append(line);
  messages.scrollTop = messages.scrollHeight;
}

async function showErrors(run) {
  problem.textContent = "";
  await run().catch((error) => (problem.textContent = error.message));
}
