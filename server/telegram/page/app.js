// The page: chats on the left, one of them on the right, kept up to date by one long poll.
import { follow, get, post } from "./api.js";
import { element, keys, make } from "./message.js";
import { choose, current, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const state = { bots: [], chats: [], open: null, stop: null, typing: 0, waiting: new Map() };

const botOf = (chat) => state.bots.find((bot) => bot.bot_id === chat.bot_id);
const same = (a, b) => a && b && a.bot_id === b.bot_id && a.chat_id === b.chat_id;
const initials = (name) => (name.match(/\p{L}|\p{N}/gu) ?? ["?"])[0].toUpperCase();

function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => $("toast").classList.remove("shown"), 3000);
}

const attempt = async (work) => {
  try {
    return await work();
  } catch (error) {
    toast(`${say("failed")}: ${error.message}`);
    return null;
  }
};

async function load() {
  const [bots, chats] = await Promise.all([get("bots", { language: current() }), get("chats")]);
  const seen = JSON.stringify([current(), bots.bots, chats.chats]);
  if (seen === state.seen) return;
  state.seen = seen;
  state.bots = bots.bots;
  state.chats = chats.chats.filter((chat) => chat.type === "private");
  $("nobots").hidden = state.bots.length > 0;
  $("nobots").textContent = `${say("nobots")} ${location.origin}/bot`;
  $("new").disabled = state.bots.length === 0;
  list();
}

function list() {
  const rows = state.chats.map((chat) => {
    const row = make("button", "row");
    const face = make("span", `avatar tint${chat.chat_id % 7}`, initials(chat.user.first_name));
    face.setAttribute("aria-hidden", "true");
    const names = make("span", "", chat.user.first_name);
    names.append(make("small", "", `${botOf(chat)?.first_name ?? ""} · ${chat.user.language_code ?? "–"}`));
    row.append(face, names);
    row.setAttribute("aria-current", String(Boolean(same(chat, state.open))));
    row.addEventListener("click", () => open(chat));
    return row;
  });
  $("chats").replaceChildren(...rows);
}

async function open(chat) {
  state.stop?.abort();
  state.open = chat;
  state.stop = new AbortController();
  const { signal } = state.stop;
  location.hash = `${chat.bot_id}/${chat.chat_id}`;
  $("app").classList.add("chatting");
  $("empty").hidden = true;
  $("chat").hidden = false;
  head();
  commands();
  const page = await attempt(() => get(`chats/${chat.chat_id}/messages`, { bot: chat.bot_id, limit: 200 }));
  if (!page || signal.aborted) return;
  $("log").replaceChildren(...page.messages.map(draw));
  showKeyboard(page.messages.findLast((message) => message.keyboard)?.keyboard);
  settle();
  list();
  $("text").focus();
  follow(chat.bot_id, chat.chat_id, page.last, signal, happened, () => toast(say("offline")));
}

function head() {
  const chat = state.open;
  const bot = botOf(chat);
  $("bot-name").textContent = bot.first_name;
  $("avatar").textContent = initials(bot.first_name);
  $("avatar").className = `avatar tint${chat.bot_id % 7}`;
  $("block").textContent = say(chat.status === "kicked" ? "unblock" : "block");
  $("status").textContent = chat.status === "kicked" ? say("blocked") : `@${bot.username} · ${say("bot_status")}`;
  $("compose").inert = chat.status === "kicked";
}

function commands() {
  const items = botOf(state.open).commands.map(({ command, description }) => {
    const button = make("button");
    button.type = "button";
    button.append(make("b", "", `/${command}`), description);
    button.addEventListener("click", () => {
      toggleCommands(false);
      send(`/${command}`);
    });
    const item = make("li");
    item.append(button);
    return item;
  });
  $("commands").replaceChildren(...items);
  $("menu").hidden = items.length === 0;
  toggleCommands(false);
}

function toggleCommands(shown = $("commands").hidden) {
  $("commands").hidden = !shown;
  $("menu").setAttribute("aria-expanded", String(shown));
}

const act = {
  send: (text) => send(text),
  settle: () => settle(),
  vote: (message, option) => attempt(() => post("vote", { ...here(), message_id: message.message_id, options: [option] })),
  tap: async (message, button, key) => {
    if (button.copy_text) return navigator.clipboard.writeText(button.copy_text.text);
    if (button.callback_data === undefined) return toast(button.text);
    key.classList.add("waiting");
    const sent = await attempt(() => post("tap", { ...here(), message_id: message.message_id, data: button.callback_data }));
    if (sent) state.waiting.set(sent.callback_query_id, key);
    else key.classList.remove("waiting");
  },
};

const here = () => ({ user_id: state.open.chat_id, bot: String(state.open.bot_id) });
const draw = (message) => element(message, state.open.chat_id, state.open.bot_id, act);

function settle() {
  $("log").scrollTop = $("log").scrollHeight;
}

function happened(event) {
  const atEnd = $("log").scrollHeight - $("log").scrollTop - $("log").clientHeight < 120;
  const shown = $("log").querySelector(`[data-id="${event.message?.message_id ?? event.message_id}"]`);
  if (event.type === "message") {
    if (!shown) $("log").append(draw(event.message));
    if (event.message.from.id !== state.open.chat_id) typing(false);
    if (event.message.keyboard) showKeyboard(event.message.keyboard);
  } else if (event.type === "edit") shown?.replaceWith(draw(event.message));
  else if (event.type === "delete") shown?.remove();
  else if (event.type === "answer") answered(event);
  else if (event.type === "action") typing(event.action !== "cancel");
  else if (event.type === "pin") toast(say("pinned"));
  else if (event.type === "reaction") shown?.append(make("div", "reactions", event.reaction.map((r) => r.emoji ?? "").join("")));
  else if (event.type === "status") {
    state.open.status = event.status;
    head();
  }
  if (atEnd) settle();
}

function typing(on) {
  clearTimeout(state.typing);
  if (!on) return head();
  $("status").textContent = say("typing");
  state.typing = setTimeout(head, 5000);
}

function answered(event) {
  state.waiting.get(event.callback_query_id)?.classList.remove("waiting");
  state.waiting.delete(event.callback_query_id);
  if (event.text && event.show_alert) {
    $("alert-text").textContent = event.text;
    $("alert").showModal();
  } else if (event.text) toast(event.text);
}

function showKeyboard(keyboard) {
  $("keyboard").hidden = !keyboard?.keyboard;
  $("text").placeholder = keyboard?.input_field_placeholder ?? say("write");
  if (!keyboard?.keyboard) return;
  $("keyboard").replaceChildren(
    keys(keyboard.keyboard, (button) => {
      if (keyboard.one_time_keyboard) $("keyboard").hidden = true;
      send(button.text);
    }),
  );
}

const send = (text) => attempt(() => post("send", { ...here(), text }));

async function sendText(event) {
  event?.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  if (await send(text)) $("text").value = "";
  grow();
}

function grow() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight + 2}px`;
}

async function sendFile() {
  const [file] = $("file").files;
  if (!file) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let i = 0; i < bytes.length; i += 32768) binary += String.fromCharCode(...bytes.subarray(i, i + 32768));
  const kind = file.type.startsWith("image/") ? "photo" : "document";
  await attempt(() => post("send", { ...here(), [kind]: { content: btoa(binary), name: file.name, mime_type: file.type } }));
  $("file").value = "";
}

function askPerson() {
  const about = () => {
    const bot = state.bots.find((b) => String(b.bot_id) === $("person-bot").value);
    $("person-about").textContent = bot?.description ?? "";
  };
  $("person-bot").replaceChildren(...state.bots.map((bot) => new Option(`${bot.first_name} (@${bot.username})`, bot.bot_id)));
  $("person-bot").onchange = about;
  $("person-language").value = current();
  $("person-payload").value = new URLSearchParams(location.search).get("start") ?? "";
  about();
  $("person").showModal();
}

async function startPerson(event) {
  event.preventDefault();
  const started = await attempt(() =>
    post("start", {
      first_name: $("person-name").value.trim(), language_code: $("person-language").value,
      bot: $("person-bot").value, payload: $("person-payload").value.trim(),
    }),
  );
  if (!started) return;
  $("person").close();
  $("person-name").value = "";
  await load();
  open(state.chats.find((chat) => chat.chat_id === started.chat_id && String(chat.bot_id) === $("person-bot").value));
}

function wire() {
  $("ui-language").value = current();
  $("ui-language").addEventListener("change", async (event) => {
    choose(event.target.value);
    await load();
    if (state.open) open(state.open);
  });
  $("new").addEventListener("click", askPerson);
  $("person-cancel").addEventListener("click", () => $("person").close());
  $("person").querySelector("form").addEventListener("submit", startPerson);
  $("back").addEventListener("click", () => {
    state.stop?.abort();
    state.open = null;
    location.hash = "";
    $("app").classList.remove("chatting");
    $("chat").hidden = true;
    $("empty").hidden = false;
    load();
  });
  $("block").addEventListener("click", () => attempt(() => post(state.open.status === "kicked" ? "unblock" : "block", here())));
  $("menu").addEventListener("click", () => toggleCommands());
  $("attach").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", sendFile);
  $("compose").addEventListener("submit", sendText);
  $("text").addEventListener("input", grow);
  $("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) sendText(event);
  });
}

choose(current());
wire();
await attempt(load);
const [bot, chat] = location.hash.slice(1).split("/").map(Number);
const wanted = state.chats.find((c) => c.bot_id === bot && c.chat_id === chat);
if (wanted) open(wanted);
// Bots and people that appear while the page is open.
setInterval(() => document.visibilityState === "visible" && load().catch(() => toast(say("offline"))), 5000);
