// A message as an element: text with its entities, media, polls and inline keyboards.
import { fileUrl } from "./api.js";
import { current, say } from "./words.js";

export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== "") node.textContent = text;
  return node;
}

const WRAP = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", pre: "pre", blockquote: "blockquote", expandable_blockquote: "blockquote" };

function wrapper(entity, shown, act) {
  if (entity.type in WRAP) return make(WRAP[entity.type]);
  if (entity.type === "text_link" || entity.type === "url") {
    const link = make("a");
    const url = entity.url ?? (shown.includes("://") ? shown : `http://${shown}`);
    if (/^(https?|ftp|tg):/i.test(url)) link.href = url;
    link.rel = "noreferrer noopener";
    link.target = "_blank";
    return link;
  }
  if (entity.type === "bot_command") {
    const button = make("button", "command");
    button.type = "button";
    button.addEventListener("click", () => act.send(shown));
    return button;
  }
  if (entity.type === "spoiler") {
    const cover = make("button", "spoiler");
    cover.type = "button";
    cover.addEventListener("click", () => cover.classList.toggle("open"));
    return cover;
  }
  return make("span");
}

// Entities nest and never cross, so each is a slice that holds those inside it. Offsets are UTF-16, as in JavaScript.
export function formatted(text, entities, act, from = 0, to = text.length) {
  const out = document.createDocumentFragment();
  let at = from;
  const inside = entities.filter((e) => e.offset >= from && e.offset + e.length <= to);
  inside.forEach((entity, n) => {
    if (entity.offset < at) return;
    const end = entity.offset + entity.length;
    out.append(text.slice(at, entity.offset));
    const node = wrapper(entity, text.slice(entity.offset, end), act);
    node.append(formatted(text, inside.slice(n + 1), act, entity.offset, end));
    out.append(node);
    at = end;
  });
  out.append(text.slice(at, to));
  return out;
}

function media(message, botId, act) {
  if (message.photo) {
    const size = message.photo.at(-1);
    const image = make("img");
    image.src = fileUrl(botId, size.file_id);
    image.width = size.width;
    image.height = size.height;
    image.alt = message.caption ?? say("photo");
    image.addEventListener("load", act.settle);
    return image;
  }
  for (const kind of ["document", "voice", "audio", "video", "animation", "video_note"]) {
    const file = message[kind];
    if (!file) continue;
    const link = make("a", "", `📎 ${file.file_name ?? say(kind)} · ${size(file.file_size)}`);
    link.href = fileUrl(botId, file.file_id);
    link.download = file.file_name ?? "";
    return link;
  }
  if (message.sticker) return make("span", "big", message.sticker.emoji ?? "🙂");
  if (message.dice) return make("span", "big", `${message.dice.emoji} ${message.dice.value}`);
  if (message.location) return make("span", "", `📍 ${say("location")}: ${message.location.latitude}, ${message.location.longitude}`);
  if (message.contact) return make("span", "", `👤 ${message.contact.first_name} ${message.contact.phone_number}`);
  if (message.poll) return poll(message, act);
  return null;
}

function size(bytes) {
  return bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`;
}

function poll(message, act) {
  const { poll } = message;
  const box = make("div");
  box.append(make("strong", "", poll.question), make("div", "origin", poll.is_closed ? say("closed") : say("poll")));
  poll.options.forEach((option, n) => {
    const share = poll.total_voter_count ? Math.round((100 * option.voter_count) / poll.total_voter_count) : 0;
    const button = make("button", "option");
    button.type = "button";
    button.disabled = poll.is_closed;
    button.append(make("span", "", `${share}%`), make("span", "", option.text));
    button.addEventListener("click", () => act.vote(message, n));
    box.append(button);
  });
  box.append(make("div", "origin", `${poll.total_voter_count} ${say("votes")}`));
  return box;
}

export function keys(rows, press) {
  const grid = make("div", "keys");
  for (const row of rows) {
    const line = make("div");
    for (const button of row) {
      const key = make(button.url ? "a" : "button", "key", button.text);
      if (button.url && /^(https?|tg):/i.test(button.url)) {
        key.href = button.url;
        key.target = "_blank";
        key.rel = "noreferrer noopener";
      } else if (!button.url) {
        key.type = "button";
        key.addEventListener("click", () => press(button, key));
      }
      line.append(key);
    }
    grid.append(line);
  }
  return grid;
}

function service(message) {
  const known = ["text", "caption", "photo", "document", "voice", "audio", "video", "animation", "video_note", "sticker", "dice", "location", "contact", "poll", "venue"];
  return !known.some((key) => key in message);
}

export function element(message, personId, botId, act) {
  if (service(message)) {
    const note = make("div", "service", say("group"));
    note.dataset.id = message.message_id;
    return note;
  }
  const node = make("div", message.from.id === personId ? "message out" : "message");
  node.dataset.id = message.message_id;
  const bubble = make("div", "bubble");
  if (message.forward_origin) {
    const { sender_user, sender_user_name } = message.forward_origin;
    bubble.append(make("div", "origin", `${say("forwarded")} ${sender_user?.first_name ?? sender_user_name ?? ""}`));
  }
  const replied = message.reply_to_message;
  if (replied) bubble.append(make("div", "quote", replied.text ?? replied.caption ?? "…"));
  const shown = media(message, botId, act);
  if (shown) bubble.append(shown);
  const text = message.text ?? message.caption ?? "";
  if (text) {
    const body = make("div", "text");
    body.append(formatted(text, message.entities ?? message.caption_entities ?? [], act));
    bubble.append(body);
  }
  const time = make("time", "", new Date(message.date * 1000).toLocaleTimeString(current(), { hour: "2-digit", minute: "2-digit", hour12: false }));
  if (message.edit_date) time.prepend(`${say("edited")} `);
  bubble.append(time);
  node.append(bubble);
  if (message.reply_markup) node.append(keys(message.reply_markup.inline_keyboard, (button, key) => act.tap(message, button, key)));
  return node;
}
