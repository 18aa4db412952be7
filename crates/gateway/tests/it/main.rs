mod onvif;
mod rtsp;
mod site;
