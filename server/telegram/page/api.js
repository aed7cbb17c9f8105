// The people's side of the server.
async function answer(response) {
  const body = await response.json();
  if (!response.ok) throw new Error(body.description ?? response.statusText);
  return body;
}

export const get = (path, params = {}, signal) =>
  fetch(`/client/${path}?${new URLSearchParams(params)}`, { signal }).then(answer);

export const post = (action, body) =>
  fetch(`/client/${action}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).then(answer);

export const fileUrl = (botId, fileId) => `/client/files/${botId}/${encodeURIComponent(fileId)}?inline`;

// Calls `each` for every event of a chat after `last` until `signal` says stop.
export async function follow(bot_id, chat_id, last, signal, each, lost) {
  while (!signal.aborted) {
    try {
      const page = await get("events", { after: last, timeout: 25, bot_id, chat_id }, signal);
      for (const event of page.events) each(event);
      last = page.last;
    } catch (error) {
      if (signal.aborted) return;
      lost(error);
      await new Promise((done) => setTimeout(done, 1500));
    }
  }
}
