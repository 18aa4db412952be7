mod rtsp;
mod site;
