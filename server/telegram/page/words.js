// The page's own words; what bots say is theirs.
const WORDS = {
  en: {
    title: "Local Telegram", interface: "Language of this page", newPerson: "New person", chats: "Chats",
    coverage: "What of the Bot API is here", choose: "Choose a chat, or create a person and start one.", back: "Back to the chats",
    messages: "Messages", commands: "Commands", attach: "Send a photo or a file", write: "Message", send: "Send", name: "Name",
    language: "Language of their app", bot: "Bot", payload: "Start parameter (deep link), if any", cancel: "Cancel", start: "Start",
    block: "Block", unblock: "Unblock", blocked: "you blocked this bot", typing: "typing…", bot_status: "bot", edited: "edited",
    forwarded: "Forwarded from", voice: "Voice message", audio: "Audio", video: "Video", sticker: "Sticker", votes: "votes",
    closed: "Final results", poll: "Poll", pinned: "A message was pinned", group: "group", photo: "Photo",
    nobots: "No bot has called this server yet. Point one here: base_url =", location: "Location", contact: "Contact",
    failed: "That did not work", offline: "The server does not answer; trying again",
  },
  ru: {
    title: "Локальный Telegram", interface: "Язык этой страницы", newPerson: "Новый человек", chats: "Чаты",
    coverage: "Что здесь есть из Bot API", choose: "Выберите чат или создайте человека и начните новый.", back: "Назад к чатам",
    messages: "Сообщения", commands: "Команды", attach: "Отправить фото или файл", write: "Сообщение", send: "Отправить", name: "Имя",
    language: "Язык приложения", bot: "Бот", payload: "Параметр start (из ссылки), если есть", cancel: "Отмена", start: "Начать",
    block: "Заблокировать", unblock: "Разблокировать", blocked: "вы заблокировали бота", typing: "печатает…", bot_status: "бот",
    edited: "изменено", forwarded: "Переслано от", voice: "Голосовое сообщение", audio: "Аудио", video: "Видео", sticker: "Стикер",
    votes: "голосов", closed: "Итоги", poll: "Опрос", pinned: "Сообщение закреплено", group: "группа", photo: "Фото",
    nobots: "К серверу ещё не обращался ни один бот. Укажите ему base_url =", location: "Место", contact: "Контакт",
    failed: "Не получилось", offline: "Сервер не отвечает, пробую ещё раз",
  },
};

let language = localStorage.getItem("ui-language") ?? (navigator.language.startsWith("ru") ? "ru" : "en");

export const current = () => language;
export const say = (key) => WORDS[language][key] ?? key;

export function choose(code) {
  language = code in WORDS ? code : "en";
  localStorage.setItem("ui-language", language);
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-i18n]")) node.textContent = say(node.dataset.i18n);
  for (const node of document.querySelectorAll("[data-i18n-label]")) node.setAttribute("aria-label", say(node.dataset.i18nLabel));
  for (const node of document.querySelectorAll("[data-i18n-placeholder]")) node.placeholder = say(node.dataset.i18nPlaceholder);
  document.title = say("title");
}
