// Bellwire's elements on the shop's pages: they ask the shop for the token of its signed-in user.
const origin = document.querySelector('meta[name="bellwire"]').content;
const { Bellwire } = await import(`${origin}/static/embed.js`);

Bellwire.configure({ getToken: async () => (await (await fetch("/bellwire/token")).json()).token });
